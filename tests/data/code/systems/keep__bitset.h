#ifndef EXAMPLE_BITSET_H
#define EXAMPLE_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of small integers below a fixed bound. Owns its words; not safe for threads. */
struct bitset {
    uint64_t *words;
    size_t n_bits;
};

int bitset_init(struct bitset *set, size_t n_bits); /* 0, or -1 when out of memory */
void bitset_free(struct bitset *set);

void bitset_add(struct bitset *set, size_t bit);
void bitset_remove(struct bitset *set, size_t bit);
bool bitset_has(const struct bitset *set, size_t bit);

size_t bitset_count(const struct bitset *set);
size_t bitset_next(const struct bitset *set, size_t from);
int bitset_unite(struct bitset *into, const struct bitset *other); /* -1 when the bounds differ */

#endif
