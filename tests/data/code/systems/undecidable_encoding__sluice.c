/* Opens the sluice of the upper basin. */
#include <stdio.h>

int main(void)
{
    puts("À");
    puts("open");
    return 0;
}
