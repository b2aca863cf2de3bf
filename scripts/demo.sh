#!/usr/bin/env bash
# Set up, then train, evaluate and segment on the generated phantoms. Results go to runs/demo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash scripts/setup.sh .venv metrics
python=$root/.venv/bin/python
out=$root/runs/demo
cd bundles/ssformer_polyp_segmentation
demo=(--output_dir "$out" --ckpt_dir "$out/models")

"$python" -m monai.bundle run training \
    --config_file "['configs/train.yaml','configs/variants/demo.yaml']" "${demo[@]}"
"$python" -m monai.bundle run evaluating \
    --config_file "['configs/train.yaml','configs/variants/demo.yaml','configs/evaluate.yaml']" "${demo[@]}"
"$python" -m monai.bundle run inferring --config_file configs/inference.yaml \
    --encoder mit_b0 --decoder_channels 64 --image_size 128 \
    --dataset_dir "$out/phantoms" --output_dir "$out/masks" --ckpt_dir "$out/models"

echo
cat "$out/table.md"
echo "Masks:    $out/masks"
echo "Pictures: $out/pictures/overlays.png"
