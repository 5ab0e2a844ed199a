import random

SAYINGS = [
    'A borrowed umbrella knows the way to every house in the village except the one that it was bought for, and it never complains about the walk.',
    'Whoever mends the roof in the rain will be called brave until the evening and foolish from the next morning on, when the sun comes out again.',
    'Soup that was cooked for four can be eaten by five if one of them tells a story that is long enough and stops before the bread has run out.',
    'The clock in the waiting room is always right, because nobody who sits below it has anything better by which he could find out that it is not.',
    'You may teach the cat to open the door, but you will be the one who gets up in the night to close it, and the cat will watch you while you do.',
    'A path that everybody praises is muddy by noon; take the other one, which is just as long, and bring back the hat that somebody lost there.',
    'He who counts the apples on the tree goes home with a number in his head, and his neighbour, who cannot count, goes home with a full basket.',
    'Two people can keep a secret about a third as long as the third one sits between them at table and passes the salt whenever he is asked to.',
    'The shortest letter takes the longest to write, and the longest one is read on the stairs, standing up, with the key already in the door.',
    'There are people who never lose a glove, and they are pitied by the others, who meet each other every spring at the counter for lost property.',
    'An old dog does not bark at the postman any more; he has understood that the letters come all the same, and that most of them are bills anyway.',
    'If the bridge creaks, walk faster; if it is silent, walk slower; and if it speaks to you, thank it politely and look for the ferry instead.',
]
print(random.choice(SAYINGS))
