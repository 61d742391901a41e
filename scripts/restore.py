"""Rule restore: bring maps back to the scan's own grid."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.connected_components import map_numbers
from lesionflow.imaging.nifti import load, read_scan_grid, save_like
from lesionflow.networks.inference.ensemble import rounded
from lesionflow.results.lesion_filters import label_values
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.scan_maps import lesions_on_scan, probability_on_scan
from lesionflow.results.tables_io import read_lesions


def main(snakemake):
    """Sample the maps at the scan's voxels; every lesion of the table has at least its own voxel."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        scan = read_scan_grid(files.scan, params.affine, params.echo)
        image, lesions = load(files.probability), read_lesions(files.table)
        probability = probability_on_scan(image, scan, params.activation)
        save_like(output.probability, rounded(probability, out=probability), files.scan)
        metadata = {"Description": "Probabilities of the ensemble", "Manual": False}
        json_sidecar.write(output.probability_sidecar, {**metadata, **params.images["probability"]})
        del probability  # the largest array, before the next ones
        lesion_map = np.asanyarray(load(files.lesions).dataobj)
        numbers = lesions_on_scan(lesion_map, image.affine, scan, lesions)
        save_like(output.lesions, numbers, files.scan)
        metadata = {"Description": "Number of each lesion, dropped ones included", "Manual": False}
        metadata |= params.images["lesions"]
        json_sidecar.write(output.sidecar, {**metadata, **lesion_sidecar(numbers, scan.affine)})
        labels = map_numbers(numbers, label_values(lesions, params.labels))
        save_like(output.labels, labels, files.scan)
        metadata = {"Description": "Labels of the lesions that are kept", "Manual": False}
        json_sidecar.write(output.labels_sidecar, {**metadata, **params.images["labels"]})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
