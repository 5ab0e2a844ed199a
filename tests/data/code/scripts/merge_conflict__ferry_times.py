"""When the ferry leaves, by the tide."""


def departures(high_water: list[float]) -> list[float]:
    """Hours of the day; the ferry needs an hour and a half of water below it."""
    first = 0.0 if not high_water else min(high_water)
<<<<<<< HEAD
    return [hour - 1.5 for hour in high_water if hour >= max(first, 1.5)]
=======
    return [round(hour - 1.25, 2) for hour in high_water]
>>>>>>> summer-timetable


if __name__ == "__main__":
    print(departures([4.5, 16.75]))
