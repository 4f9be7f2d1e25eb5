"""The lexicon that stories, descriptions and lists draw from."""

from __future__ import annotations

from random import Random

GIRLS = "Anna Mia Clara Lucy Emma Nora Ella Ruth Iris Sara Lena Maya Alice Rosa Julia Hanna Grace Zoe Eva Olivia Ada Lily".split()
BOYS = "Tom Ben Max Leo Sam Jack Paul Oscar Felix Noah Adam Hugo Peter Luke Emil Daniel Simon David Theo Finn Martin John".split()
NAMES = GIRLS + BOYS

# animal: (what it is like, where it lives, what it eats, what it is good at)
ANIMALS: dict[str, tuple[str, str, str, str]] = {
    "fox": ("clever", "forest", "berries", "finding hidden paths"),
    "dog": ("loyal", "village", "biscuits", "following a smell"),
    "cat": ("curious", "town", "fish", "climbing high walls"),
    "rabbit": ("quick", "meadow", "carrots", "digging tunnels"),
    "bear": ("strong", "forest", "honey", "lifting heavy stones"),
    "owl": ("wise", "old barn", "seeds", "seeing in the dark"),
    "mouse": ("tiny", "kitchen", "cheese", "slipping through small holes"),
    "wolf": ("proud", "mountains", "stew", "running through deep snow"),
    "horse": ("gentle", "farm", "apples", "galloping along the river"),
    "duck": ("cheerful", "pond", "bread", "swimming in cold water"),
    "frog": ("lively", "pond", "flies", "jumping very far"),
    "turtle": ("patient", "beach", "leaves", "waiting for the right moment"),
    "squirrel": ("busy", "park", "nuts", "remembering where things are"),
    "hedgehog": ("shy", "garden", "mushrooms", "rolling into a ball"),
    "elephant": ("kind", "savanna", "fruit", "remembering every face"),
    "lion": ("brave", "savanna", "soup", "roaring louder than thunder"),
    "penguin": ("funny", "icy coast", "fish", "sliding down the hills"),
    "monkey": ("playful", "jungle", "bananas", "swinging from tree to tree"),
    "parrot": ("talkative", "jungle", "seeds", "repeating every word"),
    "goat": ("stubborn", "hills", "grass", "climbing steep rocks"),
    "sheep": ("quiet", "hills", "grass", "keeping everybody warm"),
    "crow": ("sharp", "old oak tree", "corn", "solving puzzles"),
    "deer": ("graceful", "forest", "clover", "hearing every sound"),
    "whale": ("huge", "deep sea", "tiny shrimp", "singing long songs"),
    "dolphin": ("friendly", "warm sea", "fish", "leaping over the waves"),
    "tiger": ("fearless", "jungle", "rice", "moving without a sound"),
    "bee": ("hardworking", "garden", "honey", "dancing in the air"),
    "dragon": ("lonely", "high cave", "pancakes", "lighting fires"),
    "badger": ("grumpy", "woods", "roots", "building warm homes"),
    "otter": ("merry", "river", "fish", "floating on its back"),
    "donkey": ("careful", "farm", "hay", "carrying heavy bags"),
    "swan": ("elegant", "lake", "water plants", "gliding over the water"),
}

ADJECTIVES = "small young old little brave gentle clever quiet happy curious".split()
COLORS = "red blue green yellow white black brown orange purple silver golden grey".split()
THINGS = "lantern key book map bell hat boat basket ring letter kite drum mirror clock ladder blanket umbrella box".split()
WEATHER = ["sunny", "rainy", "windy", "cold", "warm", "foggy", "snowy", "stormy"]
TIMES = ["morning", "evening", "afternoon", "night"]
SEASONS = ["spring", "summer", "autumn", "winter"]
PLACES = "forest meadow village garden harbor valley lake river mountain island market castle farm beach library".split()

FRUITS = "apples bananas oranges pears grapes cherries plums peaches strawberries blueberries lemons melons kiwis mangoes".split()
VEGETABLES = "carrots potatoes tomatoes onions peppers beans peas spinach cabbage cucumbers pumpkins lettuce leeks beets".split()
JOBS = "teacher doctor baker farmer nurse pilot painter gardener engineer writer carpenter fisherman librarian tailor cook".split()
HOBBIES = "reading cooking hiking painting swimming chess gardening dancing cycling fishing singing photography running knitting".split()
CITIES = "Paris London Rome Berlin Madrid Vienna Lisbon Dublin Prague Oslo Athens Warsaw Boston Tokyo Cairo Sydney".split()
INSTRUMENTS = "piano violin guitar flute drum trumpet cello harp".split()
SPORTS = "football tennis basketball swimming running cycling volleyball hockey".split()


def article(word: str) -> str:
    """`a fox`, `an owl`."""
    return ("an " if word[0] in "aeiou" else "a ") + word


def joined(items: list[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def pronouns(name: str, rng: Random) -> tuple[str, str, str]:
    """Subject, possessive, object of a person or of an animal."""
    if name in GIRLS:
        return "she", "her", "her"
    if name in BOYS:
        return "he", "his", "him"
    return rng.choice([("he", "his", "him"), ("she", "her", "her")])
