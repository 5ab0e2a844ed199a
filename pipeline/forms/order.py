"""The order of a repository's files by what they import: each behind the files that it needs.

Of all such orders one that keeps files near what they need, since a sequence holds only so many: behind a file come at
once those that it has made possible, the shortest first.
"""

from collections.abc import Sequence


def by_imports(imports: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int]:
    """The files 0 .. n - 1, in path order, so that each stands behind the files that it imports (its `imports`).

    Where files import each other in a circle, none can stand behind all: the circle is entered at its first file in
    path order that is asked for, and what that one needs comes before it. `sizes` are bytes. No recursion, and time in
    proportion to files and imports, but for sorting.
    """
    n = len(imports)
    importers: list[list[int]] = [[] for _ in range(n)]
    for file, needs in enumerate(imports):
        for need in needs:
            importers[need].append(file)
    missing = [len(needs) for needs in imports]
    order: list[int] = []
    placed = [False] * n
    ready: list[int] = []  # the next one last
    waiting = iter(needed_first(imports))
    while len(order) < n:
        file = ready.pop() if ready else next(waiting)
        if placed[file]:
            continue
        placed[file] = True
        order.append(file)
        freed = []
        for importer in importers[file]:
            missing[importer] -= 1
            if missing[importer] == 0 and not placed[importer]:
                freed.append(importer)
        ready += sorted(freed, key=lambda one: (-sizes[one], -one))
    return order


def needed_first(imports: Sequence[Sequence[int]]) -> list[int]:
    """The files in path order, but before each what it needs: a walk in depth from every file."""
    order: list[int] = []
    begun = [False] * len(imports)
    for first in range(len(imports)):
        if begun[first]:
            continue
        begun[first] = True
        stack = [(first, iter(sorted(imports[first])))]
        while stack:
            file, needs = stack[-1]
            need = next((one for one in needs if not begun[one]), None)
            if need is None:
                order.append(file)
                stack.pop()
            else:
                begun[need] = True
                stack.append((need, iter(sorted(imports[need]))))
    return order
