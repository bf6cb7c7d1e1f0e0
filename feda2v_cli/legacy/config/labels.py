"""The label tables of the earlier system's data sets: class names by their numbers."""

_ESC50 = """
    dog rooster pig cow frog cat hen insects sheep crow
    rain sea_waves crackling_fire crickets chirping_birds water_drops wind pouring_water toilet_flush thunderstorm
    crying_baby sneezing clapping breathing coughing footsteps laughing brushing_teeth snoring drinking_sipping
    door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine vacuum_cleaner
    clock_alarm clock_tick glass_breaking
    helicopter chainsaw siren car_horn engine train church_bells airplane fireworks hand_saw
"""
_VEGAS = "baby_cry chainsaw dog drum fireworks helicopter printer rail_transport snoring water_flowing"

#: By data set in lower case without hyphens. Those of VGGSound stood in a file beside its clips.
LABELS: dict[str, tuple[str, ...]] = {"esc50": tuple(_ESC50.split()), "vegas": tuple(_VEGAS.split())}
