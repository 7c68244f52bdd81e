"""The methods: name -> class. A new method is one file here and one line in `METHODS`."""

from foc_tf.methods.adc import ADC
from foc_tf.methods.cmc import CMC
from foc_tf.methods.foc import FOC
from foc_tf.methods.iic import IIC
from foc_tf.methods.scan import SCAN
from foc_tf.methods.supervised import Supervised

METHODS = {"foc": FOC, "iic": IIC, "scan": SCAN, "cmc": CMC, "adc": ADC, "supervised": Supervised}
