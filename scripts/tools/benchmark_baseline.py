"""The baseline of ``make benchmark``: predict one prepared image as the scripts of published ensembles do.

``benchmark_baseline.py IMAGE OUT THREADS FOLD...``: one process imports TensorFlow, loads and calls each fold, and
averages.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # off by default on some CPUs, which doubles the time

from typing import Any

import nibabel as nib
import numpy as np
import tensorflow as tf

path, out, threads, *folds = sys.argv[1:]
tf.config.threading.set_intra_op_parallelism_threads(int(threads))
image: Any = nib.load(path)
volume = tf.constant(np.asarray(image.dataobj, np.float32)[None, ..., None])
total = 0
for fold in folds:
    network = tf.saved_model.load(fold)
    total = total + network.serve(volume).numpy()[0, ..., 0]
nib.save(nib.Nifti1Image(total / len(folds), image.affine), out)
