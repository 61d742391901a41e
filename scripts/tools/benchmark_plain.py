"""The plain way to predict a scan, for ``make benchmark``: one process imports TensorFlow, loads every fold, averages.

``benchmark_plain.py IMAGE OUT THREADS FOLD...``: as scripts that come with published ensembles do it, on an
image that is already prepared.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# TensorFlow leaves it off on some CPUs, at twice the time.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

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
