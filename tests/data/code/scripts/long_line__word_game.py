"""A guessing game for long journeys: one player thinks of a thing, the others ask for its letters."""

import random

NOUNS = ("anchor", "barrel", "candle", "drum", "easel", "feather", "garland", "hammock", "inkwell", "jug", "kettle", "ladder", "mirror", "needle", "oar", "pillow", "quilt", "ribbon", "saddle", "thimble", "umbrella", "violin", "wagon", "yarn", "zither", "parasol", "pedestal", "pencil", "piano", "pitcher", "plank", "plate", "plough", "pot", "pouch", "pump", "purse", "rake", "razor", "ring", "rope", "rudder", "sack", "sail", "scarf", "scissors", "screw", "scythe", "shelf", "sickle", "sled", "spade", "spoon", "stool", "strap", "sword", "table", "tambourine", "tent", "thread", "tongs", "torch", "towel", "tray", "trowel", "trunk", "tub", "veil", "wheel", "window", "apron", "basket", "compass", "dial", "engine", "fiddle", "goblet", "helmet", "icicle", "jacket", "kite", "lantern", "mallet", "nutcracker", "orchard", "parcel", "quiver", "rattle", "spindle", "trumpet", "urn", "vase", "whistle", "xylophone", "yoke", "abacus", "bellows", "chisel", "dagger", "envelope", "funnel", "gimlet", "hinge", "ingot", "jigsaw", "knapsack", "locket", "mitten", "notebook", "oven", "pocket", "quill", "ruler", "shovel", "thermos", "utensil", "vest", "wrench", "zipper", "armchair", "bucket", "cradle", "doorbell", "eraser", "flute", "grater", "hairpin", "iron", "jar", "knocker", "lever", "mug", "napkin", "opener", "pulley", "quartz", "racket", "sieve", "tweezers", "varnish", "wallet", "accordion", "bobsleigh", "chandelier", "drawbridge", "axle", "badge", "basin", "beehive", "bench", "biscuit", "blanket", "bonnet", "bookcase", "bottle", "bowl", "bracelet", "bridle", "broom", "buckle", "bugle", "button", "cabinet", "cannon", "canoe", "carriage", "cart", "cauldron", "chair", "chimney", "cloak", "clock", "coffer", "comb", "cork", "crate", "crown", "cup", "curtain", "cushion", "desk", "dish", "doll", "door", "dresser", "fan", "faucet", "fence", "fishhook", "flagon", "flask", "fork", "frame", "gate", "glove", "hammer", "handkerchief", "harness", "harp", "hat", "hoop", "horn", "hourglass", "keg", "key", "knife", "lamp", "latch", "leash", "lens", "lock", "loom", "lute", "map", "mask", "mattress", "medal", "mop", "nail", "net", "paddle", "pail")
LIVES = 7


class Game:
    """One word, and what the players know of it."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.guessed: set[str] = set()
        self.lives = LIVES

    def mask(self) -> str:
        return " ".join(c if c in self.guessed else "_" for c in self.word)

    def guess(self, letter: str) -> bool:
        """True if the letter is in the word; a wrong or repeated one costs a life."""
        if letter in self.guessed or letter not in self.word:
            self.lives -= 1
            return False
        self.guessed.add(letter)
        return True

    @property
    def is_won(self) -> bool:
        return set(self.word) <= self.guessed

    @property
    def is_lost(self) -> bool:
        return self.lives <= 0


def play(rng: random.Random) -> None:
    game = Game(rng.choice(NOUNS))
    while not (game.is_won or game.is_lost):
        print(game.mask(), f"({game.lives} lives)")
        letter = input("letter: ").strip().lower()[:1]
        if not letter.isalpha():
            print("a letter, please")
            continue
        print("yes" if game.guess(letter) else "no")
    print("well done!" if game.is_won else f"it was {game.word!r}")


if __name__ == "__main__":
    play(random.Random())
