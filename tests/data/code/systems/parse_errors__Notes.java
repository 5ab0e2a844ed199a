Notes from the meeting on the fourth of May, written down in a hurry by the secretary.

Present were the two caretakers, the lady from the second floor and, late as always, the treasurer.
The roof must be looked at before autumn. Who has a ladder that's long enough? Nobody, it seems.
The bicycles in the hall, again. "Either they go down to the cellar or they go."
It was said that the cellar floods; it was also said that it floods only twice a year.
The treasurer's report: 340 left from last year, minus 85 for the lamp. Nobody's happy about that.

Decided, with one vote against:
  1) a list hangs beside the door, everybody writes down when they're away @ Easter
  2) no more ball games in the yard before nine or after eight #rules except on holidays
  3) the treasurer asks for 3 offers, not 2 & not 5, until the end of June

Not decided: the colour of the door, which is green or brown or left as it is \
Next time: bring the key to the attic. Somebody has it, nobody says who's got it :-(
