"""The recipe of each built-in class: draws what varies from clip to clip, then makes five seconds of it."""

from collections.abc import Callable, Mapping

import numpy as np

from feda2v_cli.data.synthesis import (
    SAMPLE_RATE,
    Random,
    Samples,
    arc,
    envelope,
    falling_harmonics,
    filtered,
    impulses,
    level,
    noise,
    regular_starts,
    resonant,
    sequence,
    times,
    tone,
    wander,
)

SECONDS = 5.0
_SAMPLES = round(SECONDS * SAMPLE_RATE)


def _dog(random: Random) -> Samples:
    """Barks: short harmonic bursts with breath, whose pitch rises a little and falls."""
    pitch, length = random.uniform(280, 900), random.uniform(0.09, 0.32)
    roughness = random.uniform(0.2, 1.2)

    def bark() -> Samples:
        samples = int(length * random.uniform(0.8, 1.2) * SAMPLE_RATE)
        base = pitch * random.uniform(0.9, 1.1)
        voice = level(tone(arc(samples, (0.8 * base, 1.15 * base, 0.6 * base)), falling_harmonics(12, 0.8)))
        breath = noise(random, samples, base, 5 * base)
        return (voice + roughness * breath) * envelope(samples, 0.015, length / 2.5) * random.uniform(0.6, 1)

    return sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(0.3, 1.6), 0.4), bark)


def _rooster(random: Random) -> Samples:
    """Crows: a few syllables, the last long, high, and falling."""
    pitch, tempo = random.uniform(450, 1000), random.uniform(0.75, 1.3)
    slope = random.uniform(0.5, 1.3)

    def crow() -> Samples:
        syllables: list[Samples] = []
        for length, height in ((0.16, 0.8), (0.14, 1.0), (0.25, 1.25), (0.8, 1.1)):
            samples = int(tempo * length * random.uniform(0.8, 1.2) * SAMPLE_RATE)
            top = pitch * height * random.uniform(0.95, 1.05)
            voice = tone(arc(samples, (0.75 * top, top, 0.98 * top, 0.7 * top)), falling_harmonics(10, slope))
            syllables += [level(voice) * envelope(samples, 0.03, tempo * length), np.zeros(samples // 6, np.float32)]
        return np.concatenate(syllables)

    return sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(1.9, 3.5), 0.2), crow)


def _pig(random: Random) -> Samples:
    """Grunts: low, noisy, fluttering, now and then a squeal."""
    flutter, squeals = random.uniform(18, 60), random.uniform(0, 0.4)
    centre = random.uniform(300, 1100)

    def grunt() -> Samples:
        samples = int(random.uniform(0.12, 0.55) * SAMPLE_RATE)
        if random.random() < squeals:
            pitch = random.uniform(500, 1300)
            cry = tone(arc(samples, (0.7 * pitch, pitch, 0.9 * pitch)), falling_harmonics(12, 0.6))
            return level(cry) * envelope(samples, 0.04, 0.4)
        throat = tone(arc(samples, (flutter, 1.3 * flutter, flutter)), falling_harmonics(60, 0.2))
        breath = noise(random, samples, 100, 3500, -0.3) * (
            0.5 + 0.5 * np.maximum(tone(arc(samples, (flutter,) * 2), [1]), 0)
        )
        voice = resonant(level(throat) + breath, [(centre, 200), (2.4 * centre, 400)])
        return voice * envelope(samples, 0.03, 0.25) * random.uniform(0.4, 1)

    return sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(0.3, 1.1), 0.5), grunt)


def _cow(random: Random) -> Samples:
    """Moos: long, low, nasal, rising and falling."""
    pitch, length = random.uniform(90, 330), random.uniform(0.8, 2.4)
    formants = [(random.uniform(250, 550), 120.0), (random.uniform(800, 1500), 250.0)]
    breathiness = random.uniform(0.05, 0.5)

    def moo() -> Samples:
        samples = int(length * random.uniform(0.8, 1.2) * SAMPLE_RATE)
        base = pitch * random.uniform(0.9, 1.1)
        contour = arc(samples, (0.75 * base, base, 1.05 * base, 0.7 * base)) * (1 + 0.02 * wander(random, samples, 9))
        voice = level(tone(contour, falling_harmonics(24, 0.6))) + breathiness * noise(random, samples, 100, 4000, -0.3)
        return resonant(voice, formants) * envelope(samples, 0.2, length)

    return sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(1.6, 4.0), 0.2), moo)


def _frog(random: Random) -> Samples:
    """Croaks: trains of short resonant pulses."""
    rate, resonance = random.uniform(14, 55), random.uniform(350, 2400)
    length = random.uniform(0.12, 0.9)

    def croak() -> Samples:
        samples = int(length * random.uniform(0.7, 1.3) * SAMPLE_RATE)
        pulse = np.maximum(tone(arc(samples, (0.85 * rate, 1.1 * rate)), [1]), 0) ** 3
        voice = pulse * tone(arc(samples, (resonance, 1.08 * resonance)), (1, 0.5, 0.25, 0.12))
        return level(voice) * envelope(samples, 0.03, length) * random.uniform(0.5, 1)

    return sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(0.35, 1.5), 0.3), croak)


def _rain(random: Random) -> Samples:
    """Rain: steady noise, and drops on it."""
    body = noise(random, _SAMPLES, random.uniform(100, 900), random.uniform(3500, 7800), random.uniform(-0.5, 0.2))
    drops = filtered(impulses(random, SECONDS, random.uniform(15, 400), 2.5), random.uniform(500, 2000), 7000)
    gusts: Samples = 1 + random.uniform(0.02, 0.3) * wander(random, _SAMPLES, random.uniform(0.3, 1.5))
    return body * gusts + random.uniform(0.1, 1.0) * drops


def _sea_waves(random: Random) -> Samples:
    """Waves: noise that swells and ebbs, brighter as it breaks."""
    time = times(SECONDS)
    phase = random.uniform(0, 2 * np.pi)
    swell: Samples = (0.5 + 0.5 * np.sin(2 * np.pi * time * random.uniform(0.12, 0.5) + phase)) ** random.uniform(
        0.7, 3
    )
    deep = noise(random, _SAMPLES, 40, random.uniform(500, 2000), random.uniform(-0.7, -0.2))
    surf = noise(random, _SAMPLES, random.uniform(400, 1500), random.uniform(3000, 7500), -0.2)
    depth = random.uniform(0.35, 0.97)
    return ((1 - depth) + depth * swell) * deep + random.uniform(0.3, 1.2) * ((1 - depth) + depth * swell**2) * surf


def _crackling_fire(random: Random) -> Samples:
    """Fire: a low roar, and crackles of every loudness."""
    roar = noise(random, _SAMPLES, 40, random.uniform(300, 2500), random.uniform(-0.9, -0.3))
    flicker = 1 + 0.4 * wander(random, _SAMPLES, random.uniform(2, 8))
    crackles = filtered(
        impulses(random, SECONDS, random.uniform(6, 90), random.uniform(1.1, 2.2)),
        random.uniform(400, 1800),
        random.uniform(3500, 7500),
    )
    return random.uniform(0.1, 1.3) * roar * flicker + crackles


def _crickets(random: Random) -> Samples:
    """Crickets: a high tone in pulses, in chirps, over a field's hiss."""
    time = times(SECONDS)
    sound = np.zeros(_SAMPLES, np.float32)
    for _ in range(random.integers(1, 4)):
        pitch, pulses = random.uniform(2300, 6800), random.uniform(14, 70)
        chirps, phase = random.uniform(0.7, 4.5), random.uniform(0, 6.3)
        pulse = np.maximum(np.sin(2 * np.pi * pulses * time), 0)
        chirp = 1 / (1 + np.exp(-12 * (np.sin(2 * np.pi * chirps * time + phase) + random.uniform(-0.5, 1.2))))
        song = tone(pitch * (1 + 0.01 * wander(random, _SAMPLES, 3)), (1, 0.15)) * pulse * chirp
        sound += song.astype(np.float32) * np.float32(random.uniform(0.3, 1))
    return level(sound) + random.uniform(0.02, 0.6) * noise(random, _SAMPLES, 500, 7000, -0.2)


def _chirping_birds(random: Random) -> Samples:
    """Birds: whistles that sweep and trill, in phrases."""
    pitch, spread = random.uniform(1800, 5200), random.uniform(0.1, 0.45)
    trill = random.uniform(8, 45)

    def chirp() -> Samples:
        samples = int(random.uniform(0.05, 0.35) * SAMPLE_RATE)
        points = pitch * (1 + spread * random.uniform(-1, 1, size=random.integers(2, 5)))
        contour = arc(samples, points.tolist()) * (1 + 0.06 * random.random() * tone(arc(samples, (trill, trill)), [1]))
        return tone(contour, (1, 0.1)) * envelope(samples, 0.02, random.uniform(0.05, 0.3)) * random.uniform(0.2, 1)

    song = sequence(SECONDS, regular_starts(random, SECONDS, random.uniform(0.1, 0.7), 0.7), chirp)
    return level(song) + random.uniform(0.02, 0.6) * noise(random, _SAMPLES, 300, 7000, -0.3)


def _helicopter(random: Random) -> Samples:
    """Helicopter: the thump of blades over broad noise and a turbine's whine."""
    rate = random.uniform(9, 26)
    beat = np.maximum(tone(np.full(_SAMPLES, rate, np.float32), [1]), 0) ** random.uniform(1, 5)
    thump = noise(random, _SAMPLES, 30, random.uniform(150, 700), -0.4) * beat
    wash = noise(random, _SAMPLES, 100, random.uniform(1500, 6000), random.uniform(-0.6, -0.1)) * (0.4 + 0.6 * beat)
    whine = tone(random.uniform(400, 2500) * (1 + 0.01 * wander(random, _SAMPLES, 1)), (1, 0.4))
    passing: Samples = 1 + 0.6 * wander(random, _SAMPLES, 0.4)
    return (level(thump) + random.uniform(0.2, 1) * wash + random.uniform(0, 0.2) * whine) * passing


def _chainsaw(random: Random) -> Samples:
    """Chainsaw: a fast rough buzz that revs."""
    rate = random.uniform(65, 180)
    revs = rate * (1 + random.uniform(0.05, 0.4) * wander(random, _SAMPLES, random.uniform(0.5, 2)))
    buzz = level(tone(np.maximum(revs, 30).astype(np.float32), falling_harmonics(36, random.uniform(0.2, 0.7))))
    saw = noise(random, _SAMPLES, 300, random.uniform(3000, 7500), random.uniform(-0.4, 0.1))
    voice = resonant(
        buzz + random.uniform(0.3, 1.3) * saw, [(random.uniform(500, 1400), 300), (random.uniform(2000, 4000), 700)]
    )
    return voice * (1 + 0.4 * wander(random, _SAMPLES, 1))


def _siren(random: Random) -> Samples:
    """Siren: a loud tone that goes slowly up and down."""
    time = times(SECONDS)
    low, ratio, rate = random.uniform(350, 900), random.uniform(1.25, 2.4), random.uniform(0.15, 3)
    sweep: Samples = np.sin(2 * np.pi * rate * time + random.uniform(0, 6.3))
    if random.random() < 0.35:
        sweep = np.tanh(6 * sweep)  # two tones in turn
    pitch: Samples = low * ratio ** (0.5 + 0.5 * sweep)
    voice = level(tone(pitch, falling_harmonics(8, random.uniform(0.7, 1.8))))
    street = noise(random, _SAMPLES, 50, random.uniform(800, 4000), -0.5)
    passing: Samples = 1 + 0.5 * wander(random, _SAMPLES, 0.4)
    return voice * passing + random.uniform(0.02, 0.7) * street


def _car_horn(random: Random) -> Samples:
    """Car horn: two steady tones, held and let go."""
    pitch, interval = random.uniform(280, 560), random.uniform(1.15, 1.35)
    slope, length = random.uniform(0.3, 1.1), random.uniform(0.15, 1.8)

    def honk() -> Samples:
        samples = int(length * random.uniform(0.6, 1.4) * SAMPLE_RATE)
        steady = np.ones(samples, np.float32)
        chord = tone(pitch * steady, falling_harmonics(16, slope)) + tone(
            pitch * interval * steady, falling_harmonics(14, slope)
        )
        return level(chord) * envelope(samples, 0.02, 8.0)

    honks = sequence(SECONDS, regular_starts(random, SECONDS, length * 1.2 + random.uniform(0.2, 1.5), 0.3), honk)
    street = noise(random, _SAMPLES, 50, random.uniform(800, 4000), -0.5)
    return honks + random.uniform(0.02, 0.5) * street


def _engine(random: Random) -> Samples:
    """Engine: low pulses that idle or rev."""
    rate = random.uniform(16, 85)
    revs = rate * (1 + random.uniform(0.01, 0.25) * wander(random, _SAMPLES, random.uniform(0.3, 1.5)))
    pulses = level(tone(np.maximum(revs, 10).astype(np.float32), falling_harmonics(24, random.uniform(0.4, 1.1))))
    hiss = noise(random, _SAMPLES, 60, random.uniform(600, 4000), random.uniform(-0.7, -0.2))
    voice = resonant(
        pulses + random.uniform(0.15, 1.0) * hiss, [(random.uniform(80, 250), 60), (random.uniform(400, 1200), 250)]
    )
    return voice * (1 + 0.3 * wander(random, _SAMPLES, 0.7))


#: By class: a function that draws a clip's traits and makes its sound, `[80000]`.
SOUNDS: Mapping[str, Callable[[Random], Samples]] = {
    "dog": _dog,
    "rooster": _rooster,
    "pig": _pig,
    "cow": _cow,
    "frog": _frog,
    "rain": _rain,
    "sea_waves": _sea_waves,
    "crackling_fire": _crackling_fire,
    "crickets": _crickets,
    "chirping_birds": _chirping_birds,
    "helicopter": _helicopter,
    "chainsaw": _chainsaw,
    "siren": _siren,
    "car_horn": _car_horn,
    "engine": _engine,
}
