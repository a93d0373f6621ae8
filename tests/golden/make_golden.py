#!/usr/bin/env python3
"""Makes the golden files beside it: what PyTorch 1.13 computes, in f64, for layers, losses, optimizers and a training run.

Run once: python3 make_golden.py. The tests read the files; they need no Python.
Names are paths: CASE.x input, CASE.y output, CASE.g gradient of the output, CASE.dx of the input, CASE.param.NAME and
CASE.grad.NAME for the parameters (under our names) and their gradients.
"""
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def save(name, entries):
    arrays = {k: v.detach().numpy() if torch.is_tensor(v) else np.asarray(v) for k, v in entries.items()}
    np.savez_compressed(os.path.join(HERE, name), **arrays)


def add_layer(out, case, module, inputs, forward=None, rename=None):
    """Parameters, inputs, output, and the gradients of sum(g * y)."""
    inputs = {k: v.requires_grad_() if v.is_floating_point() else v for k, v in inputs.items()}
    y = forward(module, **inputs) if forward else module(inputs["x"])
    g = torch.randn_like(y)
    wanted = {f"d{k}": v for k, v in inputs.items() if v.requires_grad}
    for name, p in module.named_parameters():
        ours = (rename or {}).get(name, name)
        out[f"{case}.param.{ours}"] = p.clone()
        wanted[f"grad.{ours}"] = p
    for name, d in zip(wanted, torch.autograd.grad(y, list(wanted.values()), g)):
        out[f"{case}.{name}"] = d
    for name, v in inputs.items():
        out[f"{case}.{name}"] = v
    out[f"{case}.y"], out[f"{case}.g"] = y, g


def randomise(module):
    """Norm layers start as the identity, which would hide a forgotten weight."""
    with torch.no_grad():
        for p in module.parameters():
            p.normal_()
    return module


def layers():
    torch.manual_seed(1)
    out = {}
    add_layer(out, "linear", nn.Linear(5, 3), {"x": torch.randn(2, 4, 5)})
    add_layer(out, "linear_no_bias", nn.Linear(5, 3, bias=False), {"x": torch.randn(4, 5)})
    add_layer(out, "conv1d", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), {"x": torch.randn(2, 4, 11)})
    add_layer(out, "conv2d", nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2), {"x": torch.randn(2, 4, 9, 8)})
    add_layer(out, "conv2d_3x3", nn.Conv2d(3, 4, 3, padding=1), {"x": torch.randn(2, 3, 6, 5)})
    transposed = dict(stride=3, padding=1, dilation=2, groups=2, output_padding=2)
    add_layer(out, "conv_transpose1d", nn.ConvTranspose1d(4, 6, 3, **transposed), {"x": torch.randn(2, 4, 5)})
    add_layer(out, "conv_transpose2d", nn.ConvTranspose2d(4, 6, 3, **transposed), {"x": torch.randn(1, 4, 4, 3)})
    add_layer(out, "layer_norm", randomise(nn.LayerNorm(6)), {"x": torch.randn(2, 3, 6) * 2 + 1})
    add_layer(out, "group_norm", randomise(nn.GroupNorm(3, 6)), {"x": torch.randn(2, 6, 4, 3) * 2 + 1})
    add_layer(out, "embedding", nn.Embedding(7, 4), {"x": torch.tensor([[1, 6, 1], [0, 1, 3]])})
    for case, module, shape in [("batch_norm1d", nn.BatchNorm1d(3), (4, 3)), ("batch_norm2d", nn.BatchNorm2d(3), (2, 3, 4, 2))]:
        randomise(module)
        for step in range(3):  # the running statistics move each time; the last step's gradients are kept
            add_layer(out, f"{case}.train{step}", module, {"x": torch.randn(*shape) * 2 + 1})
        out[f"{case}.running_mean"], out[f"{case}.running_var"] = module.running_mean.clone(), module.running_var.clone()
        add_layer(out, f"{case}.eval", module.eval(), {"x": torch.randn(*shape) * 2 + 1})
    names = {f"{n}_l0": n for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    add_layer(out, "gru", nn.GRU(4, 5, batch_first=True), {"x": torch.randn(2, 6, 4), "h": torch.randn(2, 5)},
              lambda m, x, h: m(x, h[None])[0], names)
    add_layer(out, "gru_zero", nn.GRU(4, 5, batch_first=True), {"x": torch.randn(2, 3, 4)}, lambda m, x: m(x)[0], names)

    def lstm(m, x, h, c):
        y, (_, last) = m(x, (h[None], c[None]))
        return torch.cat([y, last.transpose(0, 1)], 1)  # the outputs, then the last cell state

    add_layer(out, "lstm", nn.LSTM(4, 5, batch_first=True),
              {"x": torch.randn(2, 6, 4), "h": torch.randn(2, 5), "c": torch.randn(2, 5)}, lstm, names)
    names = {"in_proj_weight": "qkv.weight", "in_proj_bias": "qkv.bias", "out_proj.weight": "out.weight", "out_proj.bias": "out.bias"}
    mask = torch.tensor(np.tril(np.ones((5, 5), bool)))
    holes = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 1]], dtype=torch.bool)
    for case, keep in [("mha", torch.ones(5, 5, dtype=torch.bool)), ("mha_causal", mask), ("mha_masked", holes)]:
        module = nn.MultiheadAttention(8, 2, batch_first=True)
        nn.init.normal_(module.in_proj_bias)  # torch starts both at 0
        nn.init.normal_(module.out_proj.bias)
        add_layer(out, case, module, {"x": torch.randn(2, 5, 8)},
                  lambda m, x: m(x, x, x, attn_mask=~keep, need_weights=False)[0], names)
    out["mha_masked.mask"] = holes.numpy()
    save("layers.npz", out)


def losses():
    torch.manual_seed(2)
    out = {}

    def add(case, x, target, f):
        for reduction in ("mean", "sum", "none"):
            leaf = x.detach().requires_grad_()
            value = f(leaf, target, reduction)
            g = torch.randn_like(value)
            value.backward(g)
            out.update({f"{case}.{reduction}.value": value, f"{case}.{reduction}.g": g, f"{case}.{reduction}.dx": leaf.grad})
        out[f"{case}.x"], out[f"{case}.target"] = x, target

    logits, classes = torch.randn(6, 4) * 2, torch.tensor([0, 3, 1, 1, 2, 0])
    for smoothing in (0.0, 0.2):
        for ignored in (-100, 1):
            add(f"cross_entropy_{'smooth' if smoothing else 'plain'}_{'ignore' if ignored == 1 else 'all'}", logits, classes,
                lambda x, t, r: F.cross_entropy(x, t, reduction=r, label_smoothing=smoothing, ignore_index=ignored))
    some = torch.tensor([0, -100, 1, 1, -100, 0])
    add("nll", torch.log_softmax(logits, 1), some, lambda x, t, r: F.nll_loss(x, t, reduction=r))
    x, t = torch.randn(3, 4), torch.randn(3, 4)
    add("mse", x, t, lambda x, t, r: F.mse_loss(x, t, reduction=r))
    add("l1", x, t, lambda x, t, r: F.l1_loss(x, t, reduction=r))
    add("huber", x, t, lambda x, t, r: F.huber_loss(x, t, reduction=r, delta=0.7))
    add("bce", x * 20, torch.sigmoid(t), lambda x, t, r: F.binary_cross_entropy_with_logits(x, t, reduction=r))
    p = torch.softmax(t, 1)
    p[0, 1] = 0
    add("kl", torch.log_softmax(x, 1), p, lambda x, t, r: F.kl_div(x, t, reduction=r))
    save("losses.npz", out)


def lion(start, grads, lr, beta1, beta2, weight_decay):
    """Chen et al. 2023, algorithm 2."""
    p, m, path = start.copy(), np.zeros_like(start), []
    for g in grads:
        p = p - lr * (np.sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)
        m = beta2 * m + (1 - beta2) * g
        path.append(p)
    return np.stack(path)


def optimizers():
    torch.manual_seed(3)
    start, grads = torch.randn(11), torch.randn(10, 11)
    out = {"start": start, "grads": grads}
    cases = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
        "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
        "adam": lambda p: torch.optim.Adam(p, lr=0.02),
        "adam_decay": lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.2),
        "adamw_default": lambda p: torch.optim.AdamW(p),
    }
    for case, make in cases.items():
        p = start.clone().requires_grad_()
        optimizer, path = make([p]), []
        for g in grads:
            p.grad = g.clone()
            optimizer.step()
            path.append(p.detach().clone())
        out[case] = torch.stack(path)
    out["lion"] = lion(start.numpy(), grads.numpy(), 0.01, 0.9, 0.99, 0.3)

    def rates(make, steps):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        schedule, path = make(optimizer), []
        for _ in range(steps):
            path.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return path

    s = torch.optim.lr_scheduler
    out["rate_step"] = rates(lambda o: s.StepLR(o, 4, 0.3), 12)
    out["rate_cosine"] = rates(lambda o: s.CosineAnnealingLR(o, 20, eta_min=0.05), 21)
    warm = lambda t: (t + 1) / 5 if t < 5 else 0.1 + 0.9 * (1 + math.cos(math.pi * (t - 5) / 15)) / 2
    out["rate_warm_cosine"] = rates(lambda o: s.LambdaLR(o, warm), 21)
    for case, steps, up in [("rate_one_cycle", 20, 0.3), ("rate_one_cycle_odd", 17, 0.45)]:
        make = lambda o: s.OneCycleLR(o, 0.5, total_steps=steps, pct_start=up, cycle_momentum=False)
        out[case] = rates(make, steps - 1)  # torch refuses one step more
    save("optimizers.npz", out)


def training():
    """Twenty steps of a small classifier on fixed data: the losses before each step, and the last weights."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
    x, target = torch.randn(24, 6), torch.randint(0, 3, (24,))
    out = {"x": x, "target": target}
    out.update({f"start.{n}": p.clone() for n, p in model.named_parameters()})
    optimizer, curve = torch.optim.AdamW(model.parameters(), lr=0.03, weight_decay=0.1), []
    for _ in range(20):
        loss = F.cross_entropy(model(x), target)
        curve.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    out["losses"] = curve
    out.update({f"end.{n}": p for n, p in model.named_parameters()})
    save("training.npz", out)


layers()
losses()
optimizers()
training()
