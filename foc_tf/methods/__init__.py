"""The methods: name -> class. A new method is one file here and one line in `METHODS`.

.. include:: method.md
"""

from foc_tf.methods.adc import ADC
from foc_tf.methods.cmc import CMC
from foc_tf.methods.fixmatch import FixMatch
from foc_tf.methods.foc import FOC
from foc_tf.methods.iic import IIC
from foc_tf.methods.mean_teacher import MeanTeacher
from foc_tf.methods.mixmatch import MixMatch
from foc_tf.methods.pi_model import PiModel
from foc_tf.methods.pseudo_label import PseudoLabel
from foc_tf.methods.scan import SCAN
from foc_tf.methods.supervised import Supervised
from foc_tf.model import SemiSupervisedModel

METHODS: dict[str, type[SemiSupervisedModel]] = {
    "foc": FOC,
    "iic": IIC,
    "supervised": Supervised,
    "pi_model": PiModel,
    "mean_teacher": MeanTeacher,
    "pseudo_label": PseudoLabel,
    "fixmatch": FixMatch,
    "mixmatch": MixMatch,
    "scan": SCAN,
    "cmc": CMC,
    "adc": ADC,
}
