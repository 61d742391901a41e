"""Label maps: brain, orientation and errors."""

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import LesionflowError
from lesionflow.simulation.label_maps import (
    BRAIN,
    CLASSES,
    LANDMARKS,
    NUMBER,
    LabelMap,
    list_label_maps,
    load_label_map,
    split_for_training,
)
from support.heads import label_head


def test_no_label_is_in_two_classes():
    labels = [label for class_labels, _ in CLASSES.values() for label in class_labels]
    assert len(labels) == len(set(labels))


def test_the_brain_is_tissue_and_ventricles_without_the_outer_csf():
    assert {"wm", "gm", "ventricle", "stem", "cerebellum-gm"} <= set(BRAIN)
    assert not {"csf", "sinus", "bone", "cord", "air", "optic-nerve"} & set(BRAIN)


def test_a_hole_in_the_brain_is_brain(tmp_path):
    path = label_head(tmp_path / "head.nii.gz", 4.0)
    image = nib.load(path)
    data = np.asanyarray(image.dataobj).copy()
    white_matter = tuple(np.argwhere(data == 2)[0])
    hole = tuple(np.rint(np.argwhere(np.isin(data, (2, 41))).mean(axis=0)).astype(int))
    data[hole] = 24
    nib.save(nib.Nifti1Image(data, image.affine), path)
    head = load_label_map(path)
    assert head.classes[hole] == NUMBER["csf"]
    assert head.brain[hole]
    assert head.brain[white_matter]


def test_the_outline_includes_sulci_up_to_six_millimetres_wide():
    classes = np.zeros((60, 40, 40), np.uint8)
    classes[10:50, 10:30, 10:30] = NUMBER["gm"]
    classes[18:22, 20:30, 10:30] = NUMBER["csf"]  # 4 mm wide, 10 mm deep
    classes[34:44, 20:30, 10:30] = NUMBER["csf"]  # 10 mm wide
    head = LabelMap(classes, np.diag([1.0, 1, 1, 1]), {})
    brain, outline = head.brain, head.outline
    assert (outline >= brain).all()
    assert not outline[:10].any() and not outline[:, 30:].any()
    assert outline[18:22, 20:27, 14:26].all()  # the closing rounds the edges of the sulcus
    assert not outline[38:40, 25:30, 10:30].any()


def test_the_width_of_sulci_is_in_millimetres_for_any_voxel_size():
    classes = np.zeros((30, 20, 40), np.uint8)
    classes[5:25, 5:15, 10:30] = NUMBER["gm"]
    classes[9:11, 10:15, 10:30] = NUMBER["csf"]  # 2 voxels
    narrow = LabelMap(classes, np.diag([2.0, 2, 1, 1]), {}).outline
    wide = LabelMap(classes, np.diag([5.0, 5, 1, 1]), {}).outline
    assert narrow[9:11, 10:13, 15:25].all()
    assert not wide[9:11, 11:15, 10:30].any()


@pytest.mark.parametrize("code", ["RAS", "LIA", "PSR"])
def test_every_orientation_is_read_as_the_same_head(tmp_path, code):
    original = load_label_map(label_head(tmp_path / "original.nii.gz", 4.0))
    reoriented = load_label_map(label_head(tmp_path / "reoriented.nii.gz", 4.0, code))
    assert (original.classes == reoriented.classes).all()
    assert np.allclose(original.affine, reoriented.affine)
    for label, centre in LANDMARKS.items():
        assert np.allclose(reoriented.centres[label], original.centres[label])
        assert np.linalg.norm(reoriented.centres[label] - centre) < 3


def test_unknown_labels_are_listed(tmp_path):
    path = label_head(tmp_path / "head.nii.gz", 8.0, labels={515: 1234})
    with pytest.raises(LesionflowError, match=r"head.nii.gz: the labels \[1234\] are not known"):
        load_label_map(path)


def test_a_brain_without_head_is_an_error(tmp_path):
    path = label_head(tmp_path / "brain.nii.gz", 8.0, labels={24: 0, 515: 0, 511: 0})
    with pytest.raises(LesionflowError, match="a label map of a whole head is needed"):
        load_label_map(path)


def test_a_4d_image_is_an_error(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 2), np.int16), np.eye(4)), tmp_path / "x.nii")
    with pytest.raises(LesionflowError, match="a label map must be 3-D"):
        load_label_map(tmp_path / "x.nii")


def test_the_last_label_maps_are_held_out_of_training(tmp_path):
    for number in (3, 1, 2, 5, 4):
        (tmp_path / f"{number}.nii.gz").touch()
    (tmp_path / "README.md").touch()
    training, held_out = split_for_training(tmp_path)
    assert [p.name[0] for p in training] == ["1", "2"]
    assert [p.name[0] for p in held_out] == ["3", "4", "5"]
    (tmp_path / "4.nii.gz").unlink()
    (tmp_path / "5.nii.gz").unlink()
    with pytest.raises(LesionflowError, match="3 label maps; at least 4 are needed, since 3 are"):
        split_for_training(tmp_path)
    with pytest.raises(LesionflowError, match="no label map"):
        list_label_maps(tmp_path / "nowhere")
