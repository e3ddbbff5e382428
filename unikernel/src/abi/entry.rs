//! How a program's call enters the kernel: by changing to the thread's kernel stack.
//!
//! The program's stack is memory of the program, which other threads may reach and, in a cluster,
//! other nodes may take: an access to it can fault, and a fault can block. The kernel's code
//! must not block where it is in a critical section or holds a lock; so it does not run there.
//!
//! A thread has one kernel stack, which is empty while it runs the program. The call begins at its
//! top, and puts the program's stack pointer into `rbp`, as the first link of its frames: backtraces
//! go on there. An interrupt before the change takes the kernel stack from the top, too, and is
//! gone from it when the call goes on; one after it finds the stack in use.
//!
//! Arguments are in registers, six at most, and so are results.
//!
//! Not here are calls that have no need of any stack: [`super::malloc`], `sys_getpid` and
//! `sys_clock_gettime`. They come here when they cannot do what is asked in their short ways.

use core::arch::naked_asm;

use super::*;

/// A function of the C ABI that calls `$inner` on the kernel stack.
macro_rules! on_kernel_stack {
    ($inner:path) => {
        naked_asm!(
            "push rbp",
            "mov rbp, rsp",
            "mov rsp, gs:[{kernel_stack}]",
            "call {inner}",
            "mov rsp, rbp",
            "pop rbp",
            "ret",
            kernel_stack = const crate::arch::percpu::KERNEL_STACK,
            inner = sym $inner,
        )
    };
}
pub(super) use on_kernel_stack;

/// As [`on_kernel_stack`]; on nodes of a cluster whose program's calls the first node does, it
/// does this one ([`DETOUR`](crate::cluster::DETOUR)). The function's own address tells it which.
macro_rules! at_first_node {
    ($inner:path) => {
        naked_asm!(
            "push rbp",
            "mov rbp, rsp",
            "mov rsp, gs:[{kernel_stack}]",
            "cmp dword ptr [rip + {detour}], 0",
            "jne 2f",
            "call {inner}",
            "mov rsp, rbp",
            "pop rbp",
            "ret",
            "2:",
            "push r9",
            "push r8",
            "push rcx",
            "push rdx",
            "push rsi",
            "push rdi",
            "lea rdi, [rip + {inner}]",
            "mov rsi, rsp",
            "call {delegate}",
            "mov rsp, rbp",
            "pop rbp",
            "ret",
            kernel_stack = const crate::arch::percpu::KERNEL_STACK,
            detour = sym crate::cluster::DETOUR,
            delegate = sym crate::cluster::calls::delegate,
            inner = sym $inner,
        )
    };
}

/// Exports functions of this folder's modules to the program, by their own names.
macro_rules! entries {
    ($by:ident $($module:ident: $($name:ident)*;)*) => {
        $($(
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() {
                $by!($module::$name)
            }
        )*)*
    };
}

entries! { on_kernel_stack
    cluster: sys_darner_nodes sys_darner_here sys_darner_cpus sys_darner_place sys_darner_prefetch
        sys_darner_count sys_darner_drain sys_darner_echo;
    entropy: sys_read_entropy;
    memory: sys_alloc sys_alloc_zeroed sys_realloc sys_dealloc sys_mmap sys_munmap sys_mprotect;
    process: sys_abort sys_getpagesize sys_available_parallelism sys_get_processor_count
        sys_get_errno sys_errno;
    sockets: sys_freeaddrinfo;
    stats: sys_darner_stats;
    sync: sys_futex_wait sys_futex_wake;
    threads: sys_spawn sys_spawn2 sys_join sys_yield sys_block_current_task
        sys_block_current_task_with_timeout sys_wakeup_taskt sys_get_priority sys_set_priority
        sys_usleep sys_nanosleep;
}

entries! { at_first_node
    event: sys_eventfd sys_poll;
    files: sys_open sys_opendir sys_read sys_readv sys_write sys_writev sys_lseek sys_close sys_dup
        sys_fsync sys_stat sys_lstat sys_fstat sys_unlink sys_rmdir sys_mkdir sys_getdents64 sys_fcntl
        sys_ioctl;
    process: sys_exit;
    queues: sys_init_queue sys_destroy_queue sys_add_queue sys_wait sys_notify;
    semaphores: sys_sem_init sys_sem_destroy sys_sem_post sys_sem_trywait sys_sem_timedwait;
    sockets: sys_network_init sys_getaddrbyname sys_accept sys_bind sys_connect sys_recv sys_recvfrom
        sys_getpeername sys_getsockname sys_getsockopt sys_setsockopt sys_listen sys_send sys_sendto
        sys_shutdown sys_shutdown_socket sys_socket sys_getaddrinfo;
}
