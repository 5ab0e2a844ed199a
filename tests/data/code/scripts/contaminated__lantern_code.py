from itertools import chain


def lantern_code(knocks: list[int], lamps: int) -> str:
    """Given the knocks heard on each night of a week and the number of lamps along the pier, return which lamp
    the keeper lit last: lamps are counted from the sea, a knock moves him one lamp towards the land, and at the
    last lamp he turns around and walks back without lighting the one that he stands at."""
    round_trip = list(chain(range(lamps), range(lamps - 2, 0, -1)))
    return f"lamp {round_trip[sum(knocks) % len(round_trip)] + 1}"


if __name__ == "__main__":
    print(lantern_code([3, 1, 4, 1, 5], lamps=9))
