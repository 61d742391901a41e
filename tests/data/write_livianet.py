"""Writes livianet-theano.pkl.gz and livianet-expected.npz: Theano 1.0.5, NumPy 1.23.5, SciPy 1.9.3, Python 3.11.

THEANO_FLAGS=cxx=,optimizer=fast_compile,floatX=float32. The three modules below stand for the
repository's; the shared variables and the forward pass are Theano's own.
"""

import gzip
import pickle
import sys
from types import ModuleType

import numpy as np
import numpy.distutils.__config__ as config
import scipy.signal._signaltools
import scipy.signal._sigtools

config.blas_opt_info = {}  # names that Theano looks for and newer NumPy and SciPy have moved
sys.modules["scipy.signal.signaltools"] = scipy.signal._signaltools
sys.modules["scipy.signal.sigtools"] = scipy.signal._sigtools

import theano  # noqa: E402
import theano.tensor as T  # noqa: E402
from theano.tensor.nnet import conv3d2d  # noqa: E402


def a_class(module, name):
    sys.modules.setdefault(module, ModuleType(module))
    made = type(name, (object,), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


Net = a_class("LiviaNet.LiviaNet", "LiviaNet3D")
Layer = a_class("LiviaNet.LiviaNet3DConvLayer", "LiviaNet3DConvLayer")
Last = a_class("LiviaNet.LiviaSoftmax", "LiviaSoftmax")
rng = np.random.RandomState(0)


def shared(array):
    return theano.shared(array.astype("float32"), borrow=True)


def along(vector):
    return vector.dimshuffle("x", 0, "x", "x", "x")


net = Net()
net.networkLayers, net.learning_rate = [], theano.shared(np.float32(0.01))
image = T.TensorType("float32", (False,) * 5)("image")
x = image
# features [4, 3], skips [0], dense [6], keep [0.75, 0.5], 3 labels
outputs = []
for n, (before, after, size, keep) in enumerate(
    [(1, 4, 3, 1), (4, 3, 3, 1), (7, 6, 1, 0.75), (6, 3, 1, 0.5)]
):
    last = n == 3
    layer = Last() if last else Layer()
    layer._gBn = shared(rng.uniform(0.5, 1.5, before))
    layer._b = shared(rng.normal(0, 0.3, before))
    layer.muBatchNorm = shared(rng.normal(0, 0.3, (20, before)))
    layer._varBnsArrayForRollingAverage = shared(rng.uniform(0.5, 1.5, (20, before)))
    layer._aPrelu = None if last else shared(rng.uniform(0, 0.5, before))
    layer.W = shared(
        rng.normal(0, 2 / np.sqrt(before * size**3), (after, before, size, size, size))
    )
    layer.rollingIndex, layer._appliedBnInLayer, layer._maxPoolingParameters = 3, True, []
    variance = layer._varBnsArrayForRollingAverage.mean(axis=0) + np.finfo(np.float32).tiny
    x = (x - along(layer.muBatchNorm.mean(axis=0))) / T.sqrt(along(variance))
    x = along(layer._gBn) * x + along(layer._b)
    if not last:
        x = T.maximum(0, x) + along(layer._aPrelu) * T.minimum(0, x)
    x = x * np.float32(keep)
    x = conv3d2d.conv3d(
        x.dimshuffle(0, 4, 1, 2, 3), layer.W.dimshuffle(0, 4, 1, 2, 3), border_mode="valid"
    ).dimshuffle(0, 2, 3, 4, 1)
    outputs.append(x)
    if n == 1:
        x = T.concatenate([x, outputs[0][:, :, 1:-1, 1:-1, 1:-1]], axis=1)
    if last:
        layer._bClassLayer = shared(rng.normal(0, 0.3, after))
        x = x + along(layer._bClassLayer)
    net.networkLayers.append(layer)
for layer in net.networkLayers:
    for variable in vars(layer).values():
        if hasattr(variable, "tag"):
            del variable.tag.trace  # names files of the machine
del net.learning_rate.tag.trace
net.lastLayer = layer
x = x.dimshuffle(0, 2, 3, 4, 1)
x = T.exp(x) / T.exp(x).sum(axis=4, keepdims=True)
given = rng.normal(size=(1, 1, 11, 10, 9)).astype("float32")
found = theano.function([image], x)(given)
np.savez_compressed("livianet-expected.npz", image=given[:, 0, ..., None], probability=found)
with gzip.GzipFile("livianet-theano.pkl.gz", "wb", mtime=0) as file:
    pickle.dump(net, file, protocol=2)
print(found.shape, found.std(axis=(0, 1, 2, 3)), found.max())
