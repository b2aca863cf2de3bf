import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# the networks whose answers are known, and what CVAT runs
sys.path[:0] = [str(ROOT / "tests" / "bundles"), str(ROOT / "scripts" / "cvat")]
