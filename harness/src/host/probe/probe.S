# A kernel's first second, in one kilobyte: what a virtual CPU must be able to do before it is worth booting Linux on it.
#
# It is a firmware for `qemu-system-x86_64 -bios`: the head of a 64 KiB ROM whose reset vector jumps to offset 0 (mod.rs
# puts the two together). After each stage it writes that stage's letter to the debug console (port 0xe9); at the end it
# leaves through isa-debug-exit (port 0xf4), which makes QEMU exit with (value << 1) | 1.
#
#   R real mode        P protected mode     C paging, compatibility mode     L long mode
#   S switch to other page tables           I interrupt by an instruction    T interrupt by the timer, after hlt
#   F page fault       B busy work begins   W the work is done               U cpuid, which a hypervisor intercepts
#
# Memory: 0x1000 and 0x11000 page tables, 0x7000 stack, 0x8000 interrupt descriptors, 0x200000 the busy work's data.
# The ROM is seen at 0xf0000 all the way: the lowest 2 MiB are mapped one to one.
#
# To make probe.bin from this (a test in mod.rs fails when they differ):
#   as --64 -o probe.o probe.S && ld -m elf_x86_64 -e start -Ttext=0 --oformat binary -o probe.bin probe.o

        .set ROM, 0xf0000
        .set TABLES, 0x1000
        .set OTHER_TABLES, 0x11000
        .set STACK, 0x7000
        .set INTERRUPTS, 0x8000
        .set DATA, 0x200000
        .set NOT_MAPPED, 0x40000000
        .set APIC, 0xfee00000
        .set CODE32, 0x08
        .set DATA32, 0x10
        .set CODE64, 0x18
        .set EXIT_GOOD, 0x10
        .set EXIT_BAD, 0x20
        .set ROUNDS, 24000
        .set ROWS, 32
        .set CELLS, 128

        .macro letter character
        mov     $\character, %al
        out     %al, $0xe9
        .endm

        # An interrupt gate (Intel SDM volume 3, 6.14.1) for `handler`, which lies in the ROM.
        .macro gate vector handler
        movw    $(\handler - start), INTERRUPTS + 16 * \vector
        movw    $CODE64, INTERRUPTS + 16 * \vector + 2
        movw    $0x8e00, INTERRUPTS + 16 * \vector + 4
        movw    $(ROM >> 16), INTERRUPTS + 16 * \vector + 6
        movq    $0, INTERRUPTS + 16 * \vector + 8
        .endm

        .globl  start
        .text
        .code16
start:
        cli
        cld
        letter  'R'
        xor     %ax, %ax
        mov     %ax, %es
        # Clear the tables, then: level 4 -> level 3 -> two pages of 2 MiB, present and writable; and in the fourth
        # gigabyte the one that holds the local APIC, not cached.
        mov     $TABLES, %di
        mov     $(4 * 0x1000 / 4), %cx
        xor     %eax, %eax
        rep stosl
        movl    $(TABLES + 0x1003), %es:TABLES
        movl    $(TABLES + 0x2003), %es:TABLES + 0x1000
        movl    $0x000083, %es:TABLES + 0x2000
        movl    $0x200083, %es:TABLES + 0x2008
        movl    $(TABLES + 0x3003), %es:TABLES + 0x1000 + 3 * 8
        movl    $(APIC + 0x93), %es:TABLES + 0x3000 + 0xfb8
        lgdtl   %cs:descriptors_pointer - start
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $CODE32, $(ROM + protected - start)

        .code32
protected:
        mov     $DATA32, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $STACK, %esp
        letter  'P'
        mov     %cr4, %eax
        or      $0x20, %al                      # PAE
        mov     %eax, %cr4
        mov     $TABLES, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx               # EFER: long mode enable
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     %cr0, %eax
        or      $0x80000000, %eax               # paging
        mov     %eax, %cr0
        letter  'C'
        ljmpl   $CODE64, $(ROM + long - start)

        .code64
long:
        letter  'L'
        # A copy of the tables, as a kernel leaves its boot tables for its own.
        mov     $TABLES, %esi
        mov     $OTHER_TABLES, %edi
        mov     $(4 * 0x1000 / 8), %ecx
        rep movsq
        movl    $(OTHER_TABLES + 0x1003), OTHER_TABLES
        movl    $(OTHER_TABLES + 0x2003), OTHER_TABLES + 0x1000
        movl    $(OTHER_TABLES + 0x3003), OTHER_TABLES + 0x1000 + 3 * 8
        mov     $OTHER_TABLES, %eax
        mov     %rax, %cr3
        movq    $0x1234, DATA
        cmpq    $0x1234, DATA
        jne     bad
        letter  'S'

        gate    3, on_breakpoint
        gate    14, on_page_fault
        gate    32, on_timer
        lidt    interrupts_pointer(%rip)
        int3
        letter  'I'

        # The local APIC's timer (Intel SDM volume 3, 11.5.4): one shot after about 1 ms.
        mov     $APIC, %edi
        movl    $(0x100 + 0xff), 0xf0(%rdi)     # enabled, spurious vector 255
        movl    $0x0b, 0x3e0(%rdi)              # divide by 1
        movl    $32, 0x320(%rdi)                # one shot, not masked, vector 32
        xor     %ebx, %ebx
        movl    $1000000, 0x380(%rdi)           # initial count: starts it
        sti
        hlt
        cli
        test    %ebx, %ebx                      # on_timer sets it
        jz      bad
        letter  'T'

        mov     NOT_MAPPED, %eax                # seven bytes, which on_page_fault steps over
        letter  'F'

        # Work of the kind that boots a system: memory through the page tables, arithmetic, jumps that the data decides.
        # mod.rs knows how long it takes: change it there too.
        letter  'B'
        mov     $ROUNDS, %r8d
round:  mov     $DATA, %esi
        mov     $ROWS, %edx
row:    mov     $CELLS, %ecx
        call    mix
        dec     %edx
        jnz     row
        dec     %r8d
        jnz     round
        letter  'W'

        xor     %eax, %eax
        cpuid
        letter  'U'
        mov     $EXIT_GOOD, %eax
leave:  mov     $0xf4, %edx
        out     %eax, %dx
stay:   hlt
        jmp     stay
bad:    mov     $EXIT_BAD, %eax
        jmp     leave

        # One row: a step of a random number generator in the first word of each cache line.
mix:    mov     (%rsi), %rax
        imul    $1664525, %rax, %rax
        add     $1013904223, %rax
        test    $0x40000000, %eax
        jz      even
        rol     $13, %rax
even:   mov     %rax, (%rsi)
        add     $64, %esi
        dec     %ecx
        jnz     mix
        ret

on_breakpoint:
        iretq
on_page_fault:
        add     $8, %rsp                        # the error code
        addq    $7, (%rsp)
        iretq
on_timer:
        mov     $1, %ebx
        movl    $0, 0xb0(%rdi)                  # end of interrupt
        iretq

        .balign 8
descriptors:
        .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
descriptors_pointer:
        .word   . - descriptors - 1
        .long   ROM + descriptors - start
interrupts_pointer:
        .word   33 * 16 - 1
        .quad   INTERRUPTS
