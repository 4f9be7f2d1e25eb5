"""Letters, advice, descriptions, plans: answers of several paragraphs."""

from __future__ import annotations

from random import Random

from .words import ADJECTIVES, CITIES, COLORS, GIRLS, HOBBIES, INSTRUMENTS, JOBS, NAMES, SEASONS, SPORTS, WEATHER, article

ADVICE: dict[str, list[str]] = {
    "sleep better": ["Go to bed at the same time every night.", "Keep your room dark and quiet.", "Do not drink coffee in the evening.", "Put your phone away before you go to bed.", "Take a short walk after dinner."],
    "learn a language": ["Practice a little every day.", "Listen to songs and short stories.", "Write down new words and use them.", "Speak with other people as often as you can.", "Do not be afraid of mistakes."],
    "save money": ["Write down what you spend.", "Cook at home more often.", "Wait a day before you buy something big.", "Compare prices before you decide.", "Put some money aside every month."],
    "stay healthy": ["Eat fruit and vegetables every day.", "Drink enough water.", "Walk or run for half an hour a day.", "Sleep for eight hours.", "Meet your friends and laugh a lot."],
    "write better": ["Read good books.", "Use short sentences.", "Cut every word that you do not need.", "Read your text aloud.", "Ask a friend to read it."],
    "cook rice": ["Wash the rice in cold water.", "Use two cups of water for one cup of rice.", "Add a little salt.", "Let it cook slowly for fifteen minutes.", "Let it rest for five minutes before you eat it."],
    "make tea": ["Boil fresh water.", "Put the tea into a warm pot.", "Pour the hot water over it.", "Wait for three minutes.", "Add milk or lemon if you like."],
    "grow tomatoes": ["Plant them in a warm and sunny place.", "Water them every morning.", "Tie the plants to a strong stick.", "Cut off the small side shoots.", "Pick the tomatoes when they are red."],
    "study for a test": ["Start a week before the test.", "Make a plan for every day.", "Explain the topic to a friend.", "Take short breaks.", "Sleep well the night before."],
    "make friends": ["Smile and say hello.", "Ask questions and listen to the answers.", "Join a club or a team.", "Be honest and kind.", "Invite somebody for a walk."],
    "clean a kitchen": ["Put everything back in its place.", "Wash the dishes first.", "Wipe the table with a wet cloth.", "Clean the oven and the sink.", "Sweep the floor at the end."],
    "plan a trip": ["Choose a place and a date.", "Look for a train and a room.", "Make a list of what you need.", "Pack your bag the day before.", "Tell a friend where you are going."],
    "learn to program": ["Choose one language and stay with it.", "Write small programs every day.", "Read the programs of others.", "Look carefully at every error message.", "Build something that you need yourself."],
    "be more productive": ["Make a short list every morning.", "Start with the hardest task.", "Turn off your messages while you work.", "Take a break every hour.", "Finish one thing before you start the next."],
}


def advice(rng: Random) -> tuple[str, str]:
    topic = rng.choice(sorted(ADVICE))
    tips = rng.sample(ADVICE[topic], rng.randrange(3, 6))
    ask = rng.choice(["How can I {}?", "Give me advice on how to {}.", "How do I {}?", "What is the best way to {}?", "Give me some tips to {}.", "I want to {}. What should I do?"])
    opening = rng.choice([f"Here are some tips to {topic}:", f"Here is how you can {topic}:", f"If you want to {topic}, try this:"])
    if rng.random() < 0.5:
        lines = [f"{i}. {tip}" for i, tip in enumerate(tips, 1)]
    else:
        lines = [f"- {tip}" for tip in tips]
    closing = rng.choice(["Good luck!", "Start with one of them and see how it goes.", "Be patient, and you will see a difference soon."])
    return ask.format(topic), opening + "\n\n" + "\n".join(lines) + "\n\n" + closing


REASONS: dict[str, str] = {
    "a birthday": "I wish you all the best for your birthday. I hope that you have a wonderful day with cake, music and good friends.",
    "a thank you": "thank you very much for your help last week. Without you I could not have finished the work in time.",
    "an invitation to dinner": "I would like to invite you to dinner on Saturday evening. I will cook soup and bake a fresh bread.",
    "an apology": "I am sorry that I forgot our meeting yesterday. I wrote down the wrong day, and that was my mistake.",
    "a visit": "I am happy that you will visit us next month. We will show you the old town, and we will walk along the river.",
    "a new job": "I heard that you have a new job. That is great news, and I am sure that you will do it very well.",
    "a holiday": "we are on holiday by the sea, and the weather is beautiful. Every morning we swim, and in the evening we eat fish.",
}


def letter(rng: Random) -> tuple[str, str]:
    to, sender = rng.sample(NAMES, 2)
    reason = rng.choice(sorted(REASONS))
    form = rng.choice(["letter", "email", "short letter", "message"])
    ask = rng.choice([f"Write a {form} to {to} about {reason}.".replace("a email", "an email"), f"Write {article(form)} to my friend {to} about {reason}."])
    middle = rng.choice(["Please write back soon and tell me how you are.", "Please tell me if this is fine with you.", "I am looking forward to hearing from you."])
    weather = rng.choice([f"Here the weather is {rng.choice(WEATHER)}, and I think of you often.", f"I often think of our days in {rng.choice(CITIES)}.", "I hope that you and your family are well."])
    return ask, f"Dear {to},\n\n{REASONS[reason]}\n\n{weather} {middle}\n\nBest wishes,\n{sender}"


def describe_person(rng: Random) -> tuple[str, str]:
    name = rng.choice(NAMES)
    he, his = ("she", "her") if name in GIRLS else ("he", "his")
    job, hobby, other = rng.choice(JOBS), *rng.sample(HOBBIES, 2)
    city, color = rng.choice(CITIES), rng.choice(COLORS)
    ask = rng.choice([f"Describe {article(job)} named {name}.", f"Write a description of {name}, {article(job)}.", f"Describe a person named {name}.", f"Invent a person named {name}."])
    return ask, (
        f"{name} is {article(rng.choice(ADJECTIVES[:1] + ['friendly', 'careful', 'cheerful', 'quiet']))} person who lives in {city}. "
        f"{he.capitalize()} works as {article(job)} and likes {his} work very much. In {his} free time {he} enjoys {hobby} and {other}. "
        f"{name} often wears {article(color)} coat, and {his} favorite season is {rng.choice(SEASONS)}. "
        f"{his.capitalize()} friends say that {he} is always ready to help."
    )


def describe_season(rng: Random) -> tuple[str, str]:
    season = rng.choice(SEASONS)
    text = {
        "spring": "In spring the days become longer and warmer. The first flowers open, and the birds come back from the south. People open their windows and work in their gardens.",
        "summer": "In summer the sun shines for many hours. Children swim in the lake, and families eat outside. In the evening the air is warm and full of the smell of grass.",
        "autumn": "In autumn the leaves turn red, yellow and brown. The farmers bring in the harvest, and the children collect nuts. The mornings are foggy, and the evenings are cool.",
        "winter": "In winter the days are short and the nights are long. Snow covers the roofs and the fields. People sit by the fire, drink hot tea and tell old stories.",
    }[season]
    ask = rng.choice(["Describe {}.", "Write about {}.", "What is {} like?", "Write a short text about {}."])
    return ask.format(season), text + rng.choice(["", f" Many people say that {season} is the best time of the year.", f" That is why I like {season} so much."])


def compare(rng: Random) -> tuple[str, str]:
    kind = rng.choice([INSTRUMENTS, SPORTS])
    a, b = rng.sample(kind, 2)
    learn = "play" if kind is INSTRUMENTS else "do"
    return rng.choice([f"Which is better, {a} or {b}?", f"Compare {a} and {b}.", f"Should I choose {a} or {b}?"]), (
        f"Both {a} and {b} are a good choice. With {a} you can start at any age, and many people {learn} it together. "
        f"With {b} you need a little more time at the beginning, but you will enjoy it for many years. "
        f"Try both for a week, and then choose the one that makes you happy."
    )


def day_plan(rng: Random) -> tuple[str, str]:
    city = rng.choice(CITIES)
    things = rng.sample(["visit a museum", "walk along the river", "drink coffee in a small cafe", "climb a tower", "buy fresh fruit at the market", "listen to music in the park", "take a boat trip", "look at old churches", "eat in a small restaurant"], 3)
    ask = rng.choice([f"Plan a day in {city}.", f"What can I do in {city} for one day?", f"Make a plan for one day in {city}.", f"I will be in {city} tomorrow. What should I do?"])
    return ask, (
        f"Here is a plan for one day in {city}:\n\nMorning: Start early and {things[0]}. Take your time, because the city is quiet then.\n"
        f"Afternoon: After lunch you can {things[1]}. Do not forget your camera.\nEvening: At the end of the day, {things[2]}.\n\nEnjoy your day in {city}!"
    )


WRITING_GENERATORS = [(advice, 12), (letter, 8), (describe_person, 6), (describe_season, 3), (compare, 3), (day_plan, 4)]
