"""A few courtesies, so that a greeting gets an answer."""

from demo.tiny_model.dialogue import Dialogue, Source, Turn

CHAT = (
    ("hello|hi|hey|good morning|good day", "Hello! How can I help you?"),
    ("how are you?|how do you do?|are you well?", "I am well, thank you. And you?"),
    (
        "who are you?|what are you?|what is your name?|tell me about yourself",
        "I am a very small language model.",
    ),
    ("thank you|thanks|many thanks|thanks a lot", "You are welcome!"),
    ("bye|goodbye|see you|see you later|good night", "Goodbye!"),
    (
        "what can you do?|how can you help me?|what are you good at?",
        "I can sort messages, find things in a text and change its form.",
    ),
    (
        "can you do sums?|what is the news?|what is the capital of France?|who won the match?",
        "I am too small to know that.",
    ),
    ("you are nice|well done|good job|great", "Thank you! That is kind."),
    ("are you a person?|are you human?|are you real?", "No, I am a very small language model."),
    ("tell me a joke|say something funny", "I am too small for jokes."),
)


def chat(source: Source) -> Dialogue:
    rng = source.rng
    turns: list[Turn] = []
    for asks, answer in rng.sample(CHAT, rng.choice((1, 1, 2, 3))):
        question = rng.choice(asks.split("|"))
        if rng.random() < 0.5:
            question = question[0].upper() + question[1:]
        turns += [Turn("user", question), Turn("assistant", answer, 0.5)]
    return Dialogue("chat", tuple(turns))
