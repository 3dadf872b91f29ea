# A model that Fewtune fine-tuned with its head on the mean: the published architecture that config.json names under
# "fewtune", and a head that reads the mean of the last hidden states over a text's positions, padding left out.
#
# Fewtune (the program, version in config.json) writes this file beside every such model; transformers loads it with
#
#     AutoModelForSequenceClassification.from_pretrained(FOLDER, trust_remote_code=True)
#
# No published class has this head. Without this file the weights would fit an architecture that reads another position.

import inspect

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class FewtuneConfig(PretrainedConfig):
    """The base architecture's configuration, whose own `model_type` is kept in the field `fewtune`."""

    model_type = "fewtune"

    def __init__(self, fewtune=None, **fields):
        fields.pop("model_type", None)
        self.fewtune = fewtune
        # What config.json leaves out has the architecture's values.
        known = AutoConfig.for_model(fewtune["model_type"], **fields).to_dict() if fewtune else {}
        super().__init__(**known | {"model_type": self.model_type} | fields)

    def base(self):
        """The configuration as the base architecture's own."""
        fields = self.to_dict()
        for name in ("model_type", "architectures", "auto_map"):
            fields.pop(name, None)
        return AutoConfig.for_model(self.fewtune["model_type"], **fields)


class MeanHead(torch.nn.Module):
    """A map, tanh, dropout, and a map to the labels."""

    def __init__(self, size, labels, dropout):
        super().__init__()
        self.dense = torch.nn.Linear(size, size)
        self.dropout = torch.nn.Dropout(dropout)
        self.out_proj = torch.nn.Linear(size, labels)

    def forward(self, pooled):
        return self.out_proj(self.dropout(torch.tanh(self.dense(pooled))))


def dropout_of(config):
    """The probability under the first of its names that the architecture has."""
    names = ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob", "dropout")
    return next(p for p in (getattr(config, name, None) for name in names) if p is not None)


class FewtuneForSequenceClassification(PreTrainedModel):
    config_class = FewtuneConfig

    def __init__(self, config):
        super().__init__(config)
        base = config.base()
        backbone = AutoModel.from_config(base)
        backbone.pooler = None
        self.base_model_prefix = config.fewtune["base_prefix"]
        setattr(self, self.base_model_prefix, backbone)
        size = getattr(base, "word_embed_proj_dim", base.hidden_size)
        self.mean_head = MeanHead(size, config.num_labels, dropout_of(base))
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, labels=None, past_key_values=None, **inputs):
        backbone = self.base_model
        known = inspect.signature(backbone.forward).parameters
        if past_key_values is not None and "past_key_values" not in known:
            raise ValueError(f"{type(backbone).__name__} takes no keys before a text")
        inputs["past_key_values"] = past_key_values
        inputs = {name: value for name, value in inputs.items() if name in known and value is not None}
        hidden = backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        if attention_mask is None:
            attention_mask = hidden.new_ones(hidden.shape[:2])
        # It is of the keys before a text too, which are no positions of it.
        mask = attention_mask[:, -hidden.shape[1]:].unsqueeze(-1)
        logits = self.mean_head(hidden.masked_fill(mask == 0, 0).sum(1) / mask.sum(1))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


# With this the base's weights load into the model too, under an adapter's configuration.
AutoModelForSequenceClassification.register(FewtuneConfig, FewtuneForSequenceClassification, exist_ok=True)
