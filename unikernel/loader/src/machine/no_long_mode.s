// What a CPU without 64-bit mode gets to see. Nothing compiled for this target
// can run on it, so this is written by hand: the reason goes to COM1 and to the
// ports of the command line's control= and exit=, as fail.rs does it.

.section .text.no_long_mode, "ax", @progbits
.code32
no_long_mode:
    mov esi, offset no_long_mode_name
    call no_long_mode_com1
    mov esi, offset no_long_mode_text
    call no_long_mode_com1
    mov esi, offset no_long_mode_newline
    call no_long_mode_com1
    mov ebx, [start_info]
    mov ebx, [ebx + 24] // command line
    test ebx, ebx
    jz 3f

    mov edi, offset no_long_mode_control
    call no_long_mode_option
    test edx, edx
    jz 2f
    mov esi, offset no_long_mode_record
    call no_long_mode_console
    mov esi, offset no_long_mode_text
    call no_long_mode_console
    mov al, 10
    out dx, al
2:
    mov edi, offset no_long_mode_exit
    call no_long_mode_option
    test edx, edx
    jz 3f
    mov eax, 1
    out dx, eax
3:
    hlt
    jmp 3b

// Writes the text at esi to COM1.
no_long_mode_com1:
    mov ah, [esi]
    test ah, ah
    jz 5f
    mov ecx, 100000 // a UART that is not there is not waited for
4:
    mov edx, 0x3fd
    in al, dx
    test al, 0x20
    loopz 4b
    mov edx, 0x3f8
    mov al, ah
    out dx, al
    inc esi
    jmp no_long_mode_com1
5:
    ret

// Writes the text at esi to the debug console at port edx.
no_long_mode_console:
    lodsb
    test al, al
    jz 6f
    out dx, al
    jmp no_long_mode_console
6:
    ret

// Finds the option at edi (such as " exit=0x") in the command line at ebx, and
// returns its hexadecimal value in edx, or 0.
no_long_mode_option:
    mov esi, ebx
    xor edx, edx
    xor ecx, ecx // how many characters of the option match
    // The command line's start counts as a blank.
    inc ecx
7:
    cmp byte ptr [edi + ecx], 0
    je 9f
    lodsb
    test al, al
    jz 6b
    cmp al, [edi + ecx]
    jne 8f
    inc ecx
    jmp 7b
8:
    xor ecx, ecx
    cmp al, 32
    jne 7b
    inc ecx
    jmp 7b
9:
    lodsb
    or al, 0x20
    cmp al, 0x30 // '0'
    jb 6b
    cmp al, 0x39 // '9'
    jbe 2f
    cmp al, 0x61 // 'a'
    jb 6b
    cmp al, 0x66 // 'f'
    ja 6b
    sub al, 0x27
2:
    sub al, 0x30
    shl edx, 4
    or dl, al
    jmp 9b

.section .rodata.no_long_mode, "a", @progbits
no_long_mode_name:
    .asciz "darner-loader: "
no_long_mode_newline:
    .asciz "\r\n"
no_long_mode_text:
    .ascii "this CPU lacks 64-bit mode (lm), which every program needs; "
    .asciz "give the VM a 64-bit CPU model (-cpu max for QEMU)"
no_long_mode_record:
    .asciz "loader-error "
no_long_mode_control:
    .asciz " control=0x"
no_long_mode_exit:
    .asciz " exit=0x"
.text
.code64
