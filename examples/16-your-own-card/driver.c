/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver for the adder, and a kernel that is nothing else. */

enum { COM1 = 0x3f8 };
enum { ADDRESS, LENGTH, SUM }; /* the card's registers, in words */
enum { COMMAND = 0x04, MEMORY = 2, BUS_MASTER = 4, BAR0 = 0x10, CAPABILITIES = 0x34, MSI = 5 };
enum { VECTOR = 0x20, APIC = 0xfee00000, EOI = 0xb0, SPURIOUS = 0xf0, APIC_ON = 0x1ff };

static volatile unsigned *card;
static volatile int done;

static void say(char c)
{
    __asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((unsigned short)COM1));
}

static void print(const char *text)
{
    while (*text)
        say(*text++);
}

static void print_number(unsigned n)
{
    if (n > 9)
        print_number(n / 10);
    say('0' + n % 10);
}

static unsigned config(unsigned slot, unsigned at)
{
    unsigned value;

    __asm__ volatile("outl %0, %1" : : "a"(0x80000000 | slot << 11 | at), "d"(0xcf8));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(0xcfc));
    return value;
}

static void set_config(unsigned slot, unsigned at, unsigned value)
{
    __asm__ volatile("outl %0, %1" : : "a"(0x80000000 | slot << 11 | at), "d"(0xcf8));
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(0xcfc));
}

static volatile unsigned *apic(unsigned at)
{
    return (volatile unsigned *)(APIC + at);
}

__attribute__((interrupt)) static void interrupted(void *frame)
{
    (void)frame;
    done = 1;
    *apic(EOI) = 0;
}

/* The card writes the vector to the local APIC, which interrupts. */
static void take_messages(unsigned slot)
{
    static struct { unsigned short low, code, flags, high; } idt[VECTOR + 1];
    static struct { unsigned short limit; void *base; } __attribute__((packed)) idtr = {
        sizeof idt - 1, idt};
    unsigned handler = (unsigned)interrupted, at = config(slot, CAPABILITIES) & 0xff;

    idt[VECTOR].low = handler;
    idt[VECTOR].high = handler >> 16;
    idt[VECTOR].flags = 0x8e00;
    __asm__("mov %%cs, %0" : "=r"(idt[VECTOR].code));
    __asm__ volatile("lidt %0" : : "m"(idtr));
    *apic(SPURIOUS) = APIC_ON;

    while ((config(slot, at) & 0xff) != MSI)
        at = config(slot, at) >> 8 & 0xff;
    set_config(slot, at + 4, APIC);
    set_config(slot, at + 8, 0);
    set_config(slot, at + 12, VECTOR);
    set_config(slot, at, config(slot, at) | 1 << 16);
}

void kernel(void)
{
    static unsigned char bytes[100];
    unsigned slot = 0;

    while (slot < 32 && config(slot, 0) != 0xadd01234)
        slot++;
    if (slot == 32) {
        print("there is no adder\r\n");
        return;
    }
    set_config(slot, COMMAND, MEMORY | BUS_MASTER);
    card = (volatile unsigned *)(config(slot, BAR0) & ~15);
    take_messages(slot);

    for (unsigned n = 0; n < 100; n++)
        bytes[n] = n + 1;
    card[ADDRESS] = (unsigned)bytes;
    card[LENGTH] = sizeof bytes;
    print("adding\r\n");
    while (!done)
        __asm__ volatile("sti; hlt; cli");
    print("the sum is ");
    print_number(card[SUM]);
    print("\r\n");
}
