"""A made-up token language with something to learn at every distance.

Words of 2 to 6 tokens follow one another by a second-order rule (so tokens depend on the last two words), and from time
to time a topic is named and later recalled, further back than the sliding window reaches.
"""

import random

BOS, TOPIC, RECALL = 2, 8, 9
FIRST_TOPIC, NUM_TOPICS, NUM_WORDS, NUM_RULES = 10, 24, 36, 64


class Language:
    def __init__(self, vocab_size: int, seed: int):
        rng = random.Random(seed)
        content = range(FIRST_TOPIC + NUM_TOPICS, vocab_size)
        self.words = [rng.choices(content, k=rng.randint(2, 6)) for _ in range(NUM_WORDS)]
        self.rules = [rng.sample(range(NUM_WORDS), 3) for _ in range(NUM_RULES)]
        self.a = [rng.randrange(NUM_RULES) for _ in range(NUM_WORDS)]
        self.b = [rng.randrange(NUM_RULES) for _ in range(NUM_WORDS)]

    def sample(self, length: int, rng: random.Random) -> list[int]:
        """`length` ids, starting with <bos> and a topic. No eos, no pad."""
        topic = FIRST_TOPIC + rng.randrange(NUM_TOPICS)
        ids = [BOS, TOPIC, topic]
        before, last = rng.randrange(NUM_WORDS), rng.randrange(NUM_WORDS)
        count = 0
        while len(ids) < length:
            rule = self.rules[(self.a[before] + self.b[last]) % NUM_RULES]
            before, last = last, rng.choices(rule, weights=(80, 14, 6))[0]
            ids += self.words[last]
            count += 1
            if count % 27 == 0:
                topic = FIRST_TOPIC + rng.randrange(NUM_TOPICS)
                ids += [TOPIC, topic]
            elif count % 9 == 0:
                ids += [RECALL, topic]
        return ids[:length]
