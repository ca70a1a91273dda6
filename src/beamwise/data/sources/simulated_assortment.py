"""What the simulated shop sells: categories, items, titles and planted semantic IDs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

NUM_LEVELS = 4
STAPLE, ACCESSORY, ORDINARY = 0, 1, 2
ITEMS_PER_ACCESSORY_BRANCH = 2
BRANDS_PER_NOUN = 3
COLLIDING_SHARE = 0.02
"""Share of the items with an older sibling that carry the sibling's semantic ID."""

BRANDS = (
    "Alderon,Brightwell,Cobalt,Dunmore,Estrella,Fairholm,Granith,Hollis,Ivarsson,Juniper,"
    "Kestrel,Lumora,Maplewick,Norvik,Orchard,Pellworm,Quillon,Rosset,Silverlake,Tamsin,"
    "Umberto,Velden,Westmark,Yarrow"
)
ADJECTIVES = (
    "Compact,Classic,Deluxe,Portable,Slim,Sturdy,Natural,Colourful,Quiet,Soft,Folding,"
    "Large,Small,Matte,Striped,Travel,Premium,Everyday,Light,Modern"
)
DEPARTMENTS: dict[str, dict[str, str]] = {
    "Kitchen": {
        "Kettles": "Kettle,Teapot,Coffee Press",
        "Knives": "Paring Knife,Bread Knife,Cleaver",
        "Pans": "Frying Pan,Saucepan,Wok",
        "Bakeware": "Cake Tin,Baking Sheet,Rolling Pin",
        "Accessories": "Descaler,Whetstone,Pan Protector,Baking Paper",
    },
    "Office": {
        "Pens": "Fountain Pen,Ballpoint Pen,Gel Pen",
        "Paper": "Notebook,Sketch Pad,Planner",
        "Desks": "Desk Lamp,Desk Mat,Monitor Stand",
        "Filing": "Ring Binder,File Box,Label Maker",
        "Accessories": "Ink Cartridge,Page Marker,Light Bulb,Label Tape",
    },
    "Garden": {
        "Hand Tools": "Trowel,Pruner,Hand Fork",
        "Watering": "Watering Can,Garden Hose,Sprinkler",
        "Planters": "Flower Pot,Window Box,Raised Bed",
        "Lawn": "Rake,Edging Shears,Spreader",
        "Accessories": "Sharpening Oil,Hose Connector,Potting Soil,Lawn Seed",
    },
    "Music": {
        "Guitars": "Acoustic Guitar,Ukulele,Travel Guitar",
        "Drums": "Snare Drum,Practice Pad,Cajon",
        "Keyboards": "Stage Piano,Synthesizer,Melodica",
        "Recording": "Microphone,Audio Interface,Headphones",
        "Accessories": "String Set,Drumsticks,Sustain Pedal,Microphone Cable",
    },
    "Camping": {
        "Tents": "Dome Tent,Tunnel Tent,Tarp",
        "Sleeping": "Sleeping Bag,Sleeping Mat,Hammock",
        "Stoves": "Gas Stove,Cook Set,Fire Bowl",
        "Lights": "Lantern,Headlamp,Torch",
        "Accessories": "Tent Pegs,Pillow Cover,Gas Canister,Battery Pack",
    },
    "Toys": {
        "Blocks": "Brick Set,Marble Run,Wooden Blocks",
        "Puzzles": "Jigsaw Puzzle,Puzzle Cube,Logic Game",
        "Dolls": "Rag Doll,Doll House,Puppet",
        "Vehicles": "Toy Train,Race Car,Fire Engine",
        "Accessories": "Base Plate,Puzzle Glue,Doll Clothes,Track Pieces",
    },
    "Beauty": {
        "Hair": "Hair Dryer,Hair Brush,Curling Iron",
        "Skin": "Face Cream,Cleanser,Sun Lotion",
        "Nails": "Nail Polish,Nail File,Manicure Set",
        "Shaving": "Safety Razor,Shaving Brush,Trimmer",
        "Accessories": "Hair Clips,Cotton Pads,Polish Remover,Razor Blades",
    },
    "Pets": {
        "Dogs": "Dog Lead,Dog Bed,Chew Toy",
        "Cats": "Scratching Post,Cat Tunnel,Cat Bed",
        "Fish": "Aquarium,Aquarium Filter,Aquarium Lamp",
        "Birds": "Bird Cage,Bird Bath,Bird House",
        "Accessories": "Dog Treats,Cat Litter,Filter Sponge,Bird Seed",
    },
    "Sports": {
        "Running": "Running Belt,Running Vest,Stopwatch",
        "Yoga": "Yoga Mat,Yoga Block,Yoga Strap",
        "Cycling": "Bike Helmet,Bike Lock,Pannier",
        "Racquets": "Tennis Racquet,Badminton Set,Squash Racquet",
        "Accessories": "Energy Bars,Mat Cleaner,Chain Oil,Grip Tape",
    },
    "Crafts": {
        "Knitting": "Knitting Needles,Crochet Hook,Yarn Bowl",
        "Painting": "Watercolour Set,Easel,Paint Brush",
        "Sewing": "Sewing Kit,Fabric Shears,Pin Cushion",
        "Paper Craft": "Paper Punch,Origami Set,Cutting Mat",
        "Accessories": "Wool Ball,Canvas Panel,Sewing Thread,Spare Blades",
    },
}
CATEGORIES = tuple(DEPARTMENTS)
AISLES = tuple(
    (category, aisle)
    for category in CATEGORIES
    for aisle in DEPARTMENTS[category]
    if aisle != "Accessories"
)
"""Sub-categories of ordinary items; every category also has its accessories."""
AISLES_PER_CATEGORY = len(AISLES) // len(CATEGORIES)
ACCESSORY_BRANCHES = 4
NUM_ACCESSORIES = len(CATEGORIES) * ACCESSORY_BRANCHES * ITEMS_PER_ACCESSORY_BRANCH
NUM_SMALL = len(AISLES) + NUM_ACCESSORIES
"""Items that stand in small branches: one staple an aisle, and the accessories."""


@dataclass(frozen=True, eq=False)
class Assortment:
    """The items, staples first, then accessories, then ordinary items aisle by aisle."""

    titles: list[str]
    """Unique."""
    category: Int[np.ndarray, " items"]
    aisle: Int[np.ndarray, " items"]
    """Index in `AISLES`; -1 for accessories."""
    kind: Int[np.ndarray, " items"]
    """`STAPLE`, `ACCESSORY` or `ORDINARY`."""
    codes: Int[np.ndarray, "items levels"]
    """Level 1 is the branch (an aisle, a kind of accessory or one staple), level 2 the noun, level
    3 the brand and level 4 the variant."""

    @property
    def subcategories(self) -> list[str]:
        """The name of each item's sub-category."""
        return ["Accessories" if aisle < 0 else AISLES[aisle][1] for aisle in self.aisle]


def draw_assortment(num_items: int, rng: np.random.Generator) -> Assortment:
    """Fill the shelves: the small branches, then the aisles as evenly as `num_items` allows."""
    num_ordinary = num_items - NUM_SMALL
    num_aisles = len(AISLES)
    kind = np.repeat([STAPLE, ACCESSORY, ORDINARY], [num_aisles, NUM_ACCESSORIES, num_ordinary])
    ordinary_aisle = np.arange(num_ordinary) * num_aisles // num_ordinary
    place = np.arange(num_ordinary) - np.searchsorted(ordinary_aisle, ordinary_aisle)
    pair, brand_of_pair = np.divmod(np.arange(NUM_ACCESSORIES), ITEMS_PER_ACCESSORY_BRANCH)
    staple, none = np.arange(num_aisles), np.zeros(num_aisles, np.int64)

    aisle = np.concatenate([staple, np.full(NUM_ACCESSORIES, -1), ordinary_aisle])
    category = aisle // AISLES_PER_CATEGORY
    category[kind == ACCESSORY] = pair // ACCESSORY_BRANCHES
    branch = np.concatenate([num_aisles + staple, 2 * num_aisles + pair, ordinary_aisle])
    noun = np.concatenate([rng.integers(0, 3, num_aisles), pair % ACCESSORY_BRANCHES, place % 3])
    brand = np.concatenate([none, brand_of_pair, place // 3 % BRANDS_PER_NOUN])
    variant = np.zeros(num_items, np.int64)
    variant[kind == ORDINARY] = place // (3 * BRANDS_PER_NOUN)

    branch_codes = rng.permutation(branch.max() + 1)  # order of codes must tell nothing
    codes = np.stack([branch_codes[branch], noun, brand, variant], axis=1)
    titles = _titles(kind, category, aisle, codes, rng)
    collides = (variant > 0) & (rng.random(num_items) < COLLIDING_SHARE)
    codes[collides, -1] -= 1
    return Assortment(titles, category, aisle, kind, codes)


def _titles(
    kind: Int[np.ndarray, " items"],
    category: Int[np.ndarray, " items"],
    aisle: Int[np.ndarray, " items"],
    codes: Int[np.ndarray, "items levels"],
    rng: np.random.Generator,
) -> list[str]:
    """Brand, adjective and noun; a number where the adjectives run out."""
    num_branches = codes[:, 0].max() + 1
    brands = rng.permuted(np.tile(BRANDS.split(","), (num_branches, 1)), axis=1)
    adjectives = rng.permuted(np.tile(ADJECTIVES.split(","), (num_branches, 1)), axis=1)
    titles = []
    for item, (branch, noun, brand, variant) in enumerate(codes.tolist()):
        serial, row = divmod(variant, adjectives.shape[1])
        shelf = "Accessories" if kind[item] == ACCESSORY else AISLES[aisle[item]][1]
        nouns = DEPARTMENTS[CATEGORIES[category[item]]][shelf].split(",")
        adjective = "Original" if kind[item] == STAPLE else adjectives[branch, row]
        title = f"{brands[branch, brand]} {adjective} {nouns[noun]}"
        titles.append(f"{title} No. {serial + 1}" if serial else title)
    return titles
