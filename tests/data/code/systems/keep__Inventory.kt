package org.example.inventory

import java.time.LocalDate

/** What can go wrong when goods leave the store. */
sealed interface Refusal {
    data class Unknown(val sku: String) : Refusal
    data class TooFew(val sku: String, val wanted: Int, val available: Int) : Refusal
    data object Closed : Refusal
}

data class Batch(val sku: String, val pieces: Int, val bestBefore: LocalDate)

class Inventory(batches: List<Batch> = emptyList()) {
    private val shelves = batches.groupBy { it.sku }.mapValues { (_, list) -> list.sortedBy { it.bestBefore }.toMutableList() }.toMutableMap()
    private var open = true

    fun receive(batch: Batch) {
        require(batch.pieces > 0) { "an empty batch of ${batch.sku}" }
        shelves.getOrPut(batch.sku) { mutableListOf() }.apply {
            add(batch)
            sortBy { it.bestBefore }
        }
    }

    /** Takes from the batches that expire first; all or nothing. */
    fun issue(sku: String, wanted: Int): Result {
        if (!open) return Result.Refused(Refusal.Closed)
        val shelf = shelves[sku] ?: return Result.Refused(Refusal.Unknown(sku))
        val available = shelf.sumOf { it.pieces }
        if (available < wanted) return Result.Refused(Refusal.TooFew(sku, wanted, available))
        val taken = mutableListOf<Batch>()
        var rest = wanted
        while (rest > 0) {
            val first = shelf.removeFirst()
            if (first.pieces > rest) {
                shelf.add(0, first.copy(pieces = first.pieces - rest))
                taken += first.copy(pieces = rest)
                rest = 0
            } else {
                taken += first
                rest -= first.pieces
            }
        }
        return Result.Issued(taken)
    }

    fun expired(today: LocalDate): List<Batch> =
        shelves.values.flatten().filter { it.bestBefore < today }.sortedWith(compareBy({ it.bestBefore }, { it.sku }))

    fun close() {
        open = false
    }

    sealed interface Result {
        data class Issued(val batches: List<Batch>) : Result
        data class Refused(val why: Refusal) : Result
    }
}
