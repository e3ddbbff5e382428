// The note by which the VMM knows where to enter: XEN_ELFNOTE_PHYS32_ENTRY.
.section .note.Xen, "a", @note
.balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_start

.section .text.pvh_start, "ax", @progbits
.code32
// In: ebx = the start info; protected mode with flat segments, paging off,
// interrupts off, no stack.
.global pvh_start
pvh_start:
    rdtsc
    cld
    lea esp, [{stack} + {stack_bytes}]
    mov [loader_tsc], eax
    mov [loader_tsc + 4], edx
    mov [start_info], ebx

    // Long mode: extended leaf 1, edx bit 29.
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb no_long_mode
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc no_long_mode

    // Four second-level tables, back to back: 2048 pages of 2 MiB, present,
    // writable, executable. The upper halves of the entries stay 0.
    mov edi, offset second_level
    mov eax, 0x83
2:
    mov [edi], eax
    add edi, 8
    add eax, 0x200000
    jnc 2b

    mov eax, offset second_level + 3
    mov [third_level], eax
    add eax, 0x1000
    mov [third_level + 8], eax
    add eax, 0x1000
    mov [third_level + 16], eax
    add eax, 0x1000
    mov [third_level + 24], eax
    mov eax, offset third_level + 3
    mov [fourth_level], eax

    mov eax, offset fourth_level
    mov cr3, eax
    mov eax, cr4
    or eax, 1 << 5 // physical address extension
    mov cr4, eax
    mov ecx, 0xc0000080 // EFER
    rdmsr
    or eax, 1 << 8 // long mode enable
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | 1 // paging, protection
    mov cr0, eax

    lgdt [gdt_pointer]
    push 8
    mov eax, offset long_mode
    push eax
    retf

.code64
long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [rip + {stack} + {stack_bytes}]
    xor ebp, ebp
    mov edi, [rip + start_info]
    mov rsi, [rip + loader_tsc]
    call {boot}
    ud2

.section .rodata.entry, "a", @progbits
.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff // 64-bit code
    .quad 0x00cf93000000ffff // data
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

.section .bss.entry, "aw", @nobits
.balign 4096
second_level:
    .skip 4 * 4096
third_level:
    .skip 4096
fourth_level:
    .skip 4096
loader_tsc:
    .skip 8
start_info:
    .skip 8
.text
