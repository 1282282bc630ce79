#!/usr/bin/env bash
# Builds the package, installs it into an empty environment, and does the whole way from data to an exported model in
# an empty folder. The argument is the extra that brings TensorFlow.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
extra=${1:-cpu}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/env"
pip=("$folder/env/bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" wheel --no-deps --wheel-dir "$folder/wheel" "$checkout"
wheel=$(echo "$folder"/wheel/*.whl)
"${pip[@]}" install --constraint "$checkout/constraints.txt" "${wheel}[$extra,web]"

mkdir "$folder/empty"
cd "$folder/empty"
PATH=$folder/env/bin:$PATH
pose-gan --help
python -c "from pose_gan.web.server import files_of; assert 'index.html' in files_of('serve'); assert {'index.html', 'jspsych.min.js', 'jspsych.LICENSE.txt'} <= set(files_of('study'))"  # the pages come along
pose-gan train --help > help.txt
grep -q -- --nn_loss_area_size help.txt
pose-gan generate --source demo --pose demo
pose-gan data demo --train_persons 3 --test_persons 1 --images_per_person 3 --workers 1
pose-gan data annotate --dataset demo --pose_estimator demo
pose-gan data pairs --dataset demo
pose-gan train --dataset demo --preset dsc --width 0.125 --iterations_per_epoch 2 --number_of_epochs 1 --output_dir run
pose-gan test --generator_checkpoint run --generated_images_dir generated --report report.html
pose-gan animate --generator run --source "$(find data/demo-dataset/test -name '*_00.jpg' | sort | head -n 1)" \
    --targets data/demo-dataset/test --pose_estimator demo --output animation.gif
pose-gan export run --format h5 keras savedmodel tflite --output export
pose-gan info export/generator.tflite
for made in generated.png generated/metrics.json report.html animation.gif export/generator.tflite; do
    test -s "$made"
done
echo "the installed package does the whole way"
