#!/usr/bin/env bash
# Set up, then train, evaluate and segment on the generated phantoms, and segment pictures with the weights that the
# bundle ships with: those in the folder given as argument, real ones, else phantoms again. Results go to runs/demo.
#   bash scripts/demo.sh [IMAGES]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
images=${1:-${MEDSEG_DATA_DIR:+$MEDSEG_DATA_DIR/polyp/clinicdb_20/images}}
[ -z "$images" ] || images=$(cd "$images" && pwd)
cd "$root"
bash scripts/setup.sh .venv metrics
python=$root/.venv/bin/python
out=$root/runs/demo
cd bundles/ssformer_polyp_segmentation
demo=(--output_dir "$out" --ckpt_dir "$out/models")

"$python" -m monai.bundle run training \
    --config_file "['configs/train.yaml','configs/variants/demo.yaml']" "${demo[@]}" --overwrite True
"$python" -m monai.bundle run evaluating \
    --config_file "['configs/train.yaml','configs/variants/demo.yaml','configs/evaluate.yaml']" "${demo[@]}"
"$python" -m medseg run . "$out/phantoms" "$out/masks" --weights "$out/models/model.pt" --overwrite
"$python" -m medseg run . "${images:-$out/phantoms}" "$out/shipped" --overwrite

echo
cat "$out/table.md"
echo "Masks:    $out/masks"
echo "Pictures: $out/pictures/overlays.png, and with the shipped weights $out/shipped/pictures/overlays.png"
