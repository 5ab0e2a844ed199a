package org.example.queue;

import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;

/** A first-in-first-out queue of fixed capacity. When it is full, the oldest element makes room. */
public final class RingBuffer<E> implements Iterable<E> {

    private final Object[] slots;
    private int head;
    private int size;
    private long dropped;

    public RingBuffer(int capacity) {
        if (capacity < 1) {
            throw new IllegalArgumentException("capacity must be positive, was " + capacity);
        }
        this.slots = new Object[capacity];
    }

    /** Adds an element and returns the one that had to leave, or null. */
    public E offer(E element) {
        Objects.requireNonNull(element, "element");
        E evicted = null;
        if (size == slots.length) {
            evicted = poll();
            dropped++;
        }
        slots[(head + size) % slots.length] = element;
        size++;
        return evicted;
    }

    @SuppressWarnings("unchecked")
    public E poll() {
        if (size == 0) {
            return null;
        }
        E element = (E) slots[head];
        slots[head] = null;
        head = (head + 1) % slots.length;
        size--;
        return element;
    }

    public int size() {
        return size;
    }

    public long droppedElements() {
        return dropped;
    }

    public void clear() {
        Arrays.fill(slots, null);
        head = 0;
        size = 0;
    }

    @Override
    public Iterator<E> iterator() {
        return new Iterator<>() {
            private int seen;

            @Override
            public boolean hasNext() {
                return seen < size;
            }

            @Override
            @SuppressWarnings("unchecked")
            public E next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                return (E) slots[(head + seen++) % slots.length];
            }
        };
    }
}
