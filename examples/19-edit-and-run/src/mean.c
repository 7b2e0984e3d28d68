/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

int main(void)
{
    int number, count = 0, sum = 0;
    while (scanf("%d", &number) == 1) {
        sum += number;
        count++;
    }
    printf("mean: %d\n", sum / count);
    return 0;
}
