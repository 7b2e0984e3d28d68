/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel that is all tests. Its command line says which kind of end it is to come to. */

enum { COM1 = 0x3f8, DEBUG_EXIT = 0xf4, PASSED = 0, FAILED = 1 };

struct multiboot {
    unsigned flags, memory_low, memory_high, boot_device;
    const char *command_line;
};

static void out(unsigned short port, unsigned char value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
    for (; *text; text++)
        out(COM1, *text);
}

static int contains(const char *text, const char *word)
{
    for (; *text; text++) {
        int n = 0;
        while (word[n] && text[n] == word[n])
            n++;
        if (!word[n])
            return 1;
    }
    return 0;
}

static int failures;

static void check(const char *what, int holds)
{
    say(holds ? "ok     " : "NOT OK ");
    say(what);
    say("\r\n");
    failures += !holds;
}

void kernel(const struct multiboot *info)
{
    const char *wish = info->command_line;

    check("memory is what the machine file says", info->memory_high / 1024 == 15);
    check("strings are searched", contains("needle in hay", "in h"));
    check("arithmetic", 6 * 7 == (contains(wish, "wrong") ? 41 : 42));
    if (contains(wish, "hang"))
        for (;;)
            __asm__ volatile("");
    if (contains(wish, "panic")) {
        say("PANIC: as you wished\r\n");
        for (;;)
            __asm__ volatile("cli; hlt");
    }
    if (contains(wish, "crash"))
        __asm__ volatile("ud2"); /* there is no handler for it, nor for what follows */
    out(DEBUG_EXIT, failures ? FAILED : PASSED);
    for (;;)
        ;
}
