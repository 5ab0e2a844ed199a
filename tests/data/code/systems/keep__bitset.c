#include "bitset.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64u

static size_t words_for(size_t n_bits)
{
    return (n_bits + WORD_BITS - 1) / WORD_BITS;
}

int bitset_init(struct bitset *set, size_t n_bits)
{
    set->n_bits = n_bits;
    set->words = calloc(words_for(n_bits), sizeof *set->words);
    return set->words == NULL && n_bits > 0 ? -1 : 0;
}

void bitset_free(struct bitset *set)
{
    free(set->words);
    memset(set, 0, sizeof *set);
}

void bitset_add(struct bitset *set, size_t bit)
{
    if (bit < set->n_bits)
        set->words[bit / WORD_BITS] |= (uint64_t)1 << (bit % WORD_BITS);
}

void bitset_remove(struct bitset *set, size_t bit)
{
    if (bit < set->n_bits)
        set->words[bit / WORD_BITS] &= ~((uint64_t)1 << (bit % WORD_BITS));
}

bool bitset_has(const struct bitset *set, size_t bit)
{
    return bit < set->n_bits && (set->words[bit / WORD_BITS] >> (bit % WORD_BITS)) & 1;
}

size_t bitset_count(const struct bitset *set)
{
    size_t total = 0;
    for (size_t i = 0; i < words_for(set->n_bits); i++) {
        uint64_t word = set->words[i];
        while (word) { /* clears the lowest bit that is set */
            word &= word - 1;
            total++;
        }
    }
    return total;
}

/* First member at or after `from`; n_bits when there is none. */
size_t bitset_next(const struct bitset *set, size_t from)
{
    while (from < set->n_bits) {
        uint64_t rest = set->words[from / WORD_BITS] >> (from % WORD_BITS);
        if (rest == 0) {
            from = (from / WORD_BITS + 1) * WORD_BITS;
            continue;
        }
        while ((rest & 1) == 0) {
            rest >>= 1;
            from++;
        }
        return from;
    }
    return set->n_bits;
}

int bitset_unite(struct bitset *into, const struct bitset *other)
{
    if (into->n_bits != other->n_bits)
        return -1;
    for (size_t i = 0; i < words_for(into->n_bits); i++)
        into->words[i] |= other->words[i];
    return 0;
}
