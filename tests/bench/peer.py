"""The PyTorch side of ink_bench: reads "case<TAB>seconds" lines, times the case of that name, answers "best median runs"."""
import math
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

threads = int(sys.argv[1])
device = sys.argv[2] if len(sys.argv) > 2 else "cpu"
on_gpu = device.startswith("cuda")
torch.set_num_threads(threads)
torch.manual_seed(0)
if on_gpu:
    torch.set_default_device(device)
r = torch.randn
cases = {}


def case(name, make, grad=False):
    cases[name] = (make, grad)


def leaf(*shape):
    return r(*shape, requires_grad=True)


def product(name, a, b, transpose):
    def make():
        x, y = r(*a), r(*b)
        y = y.transpose(-2, -1) if transpose else y
        return lambda: x @ y
    case(name, make)


def one(name, shape, f):
    def make():
        x = r(*shape)
        return lambda: f(x)
    case(name, make)


for n in (64, 128, 256, 512, 1024, 2048):
    product(f"matmul {n}", (n, n), (n, n), False)
for n, i, o in ((128, 784, 512), (2048, 128, 512)):
    def make(n=n, i=i, o=o):
        x, w, b = r(n, i), r(o, i), r(o)
        return lambda: F.linear(x, w, b)
    case(f"linear {n}x{i}->{o}", make)
product("bmm 32x(256x32x256)", (32, 256, 32), (32, 256, 32), True)
product("bmm 32x(256x256x32)", (32, 256, 256), (32, 256, 32), False)
product("mv 4096", (4096, 4096), (4096,), False)
for n, tag in ((1 << 16, "64Ki"), (1 << 20, "1Mi"), (1 << 24, "16Mi")):
    def make(n=n):
        a, b = r(n), r(n)
        return lambda: a + b
    case(f"add {tag}", make)
    for name in ("exp", "relu", "tanh", "sigmoid"):
        one(f"{name} {tag}", (n,), getattr(torch, name))
mi = (1 << 20,)
one("gelu erf 1Mi", mi, F.gelu)
one("gelu tanh 1Mi", mi, lambda x: F.gelu(x, approximate="tanh"))
one("silu 1Mi", mi, F.silu)
one("dropout 1Mi", mi, lambda x: F.dropout(x, 0.1))
one("randn 1Mi", mi, torch.randn_like)
for rows, n in ((8192, 256), (2048, 1024)):
    one(f"softmax {rows}x{n}", (rows, n), lambda x: torch.softmax(x, -1))
    one(f"log_softmax {rows}x{n}", (rows, n), lambda x: torch.log_softmax(x, -1))
for n in (128, 1024):
    def make(backward, n=n):
        x, w, b, g = leaf(2048, n), leaf(n), leaf(n), r(2048, n)
        f = lambda: F.layer_norm(x, (n,), w, b)
        return (lambda: torch.autograd.grad(f(), (x, w, b), g)) if backward else f
    case(f"layernorm fwd 2048x{n}", lambda make=make: make(False))
    case(f"layernorm fwd+bwd 2048x{n}", lambda make=make: make(True), True)
sq = (4096, 4096)
for name, f in (("sum all", torch.sum), ("sum dim1", lambda x: x.sum(1)), ("sum dim0", lambda x: x.sum(0)), ("max dim1", lambda x: x.max(1)),
                ("argmax dim1", lambda x: x.argmax(1)), ("mean+var dim1", lambda x: torch.var_mean(x, 1)),
                ("cumsum dim1", lambda x: x.cumsum(1)), ("cumsum dim0", lambda x: x.cumsum(0))):
    one(f"{name} 4096^2", sq, f)
one("transpose copy 2048^2", (2048, 2048), lambda x: x.t().contiguous())
one("permute heads 8x256x4x32", (8, 256, 4, 32), lambda x: x.permute(0, 2, 1, 3).contiguous())


def make_cat():
    a, b = r(8, 256, 128), r(8, 256, 128)
    return lambda: torch.cat((a, b), 2)


case("cat 2x(8x256x128) dim2", make_cat)
for name, n, c, h, k, ks, gr in (("3x3 16x64x32x32->64", 16, 64, 32, 64, 3, 1), ("3x3 128x1x28x28->16", 128, 1, 28, 16, 3, 1),
                                 ("3x3 64x16x14x14->32", 64, 16, 14, 32, 3, 1), ("1x1 16x64x32x32->64", 16, 64, 32, 64, 1, 1),
                                 ("3x3 depthwise 16x64x32x32", 16, 64, 32, 64, 3, 64)):
    def make(backward, n=n, c=c, h=h, k=k, ks=ks, gr=gr):
        x, w, b, g = leaf(n, c, h, h), leaf(k, c // gr, ks, ks), leaf(k), r(n, k, h, h)
        f = lambda: F.conv2d(x, w, b, padding=ks // 2, groups=gr)
        return (lambda: torch.autograd.grad(f(), (x, w, b), g)) if backward else f
    case(f"conv2d {name} fwd", lambda make=make: make(False))
    case(f"conv2d {name} fwd+bwd", lambda make=make: make(True), True)
one("maxpool2 64x32x28x28", (64, 32, 28, 28), lambda x: F.max_pool2d(x, 2))


def make_embedding():
    w, i = r(32000, 512), torch.randint(0, 32000, (2048,))
    return lambda: F.embedding(i, w)


case("embedding fwd 2048 of 32000x512", make_embedding)
for v in (96, 32000):
    def make(v=v):
        x, t = leaf(2048, v), torch.randint(0, v, (2048,))
        return lambda: torch.autograd.grad(F.cross_entropy(x, t), x)
    case(f"cross entropy fwd+bwd 2048x{v}", make, True)
for b, h, t, d in ((8, 4, 256, 32), (1, 8, 1024, 64)):
    for causal in (True, False):
        def make(backward, by_hand, b=b, h=h, t=t, d=d, causal=causal):
            q, k, v, g = leaf(b, h, t, d), leaf(b, h, t, d), leaf(b, h, t, d), r(b, h, t, d)
            m = torch.full((t, t), float("-inf")).triu(1)
            scores = lambda: q @ k.transpose(-2, -1) / math.sqrt(d)
            f = lambda: torch.softmax(scores() + m if causal else scores(), -1) @ v
            if not by_hand:
                f = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            return (lambda: torch.autograd.grad(f(), (q, k, v), g)) if backward else f
        tail = f"B{b} H{h} T{t} D{d}"
        kind = "causal" if causal else "full"
        for way in ("hand", "one call"):
            if way == "one call" and not hasattr(F, "scaled_dot_product_attention"):
                continue
            hand = way == "hand"
            case(f"attention by {way}, {kind} fwd {tail}", lambda make=make, hand=hand: make(False, hand))
            case(f"attention by {way}, {kind} fwd+bwd {tail}", lambda make=make, hand=hand: make(True, hand), True)


def make_fft():
    u, k = r(8, 64, 4096), r(64, 4096)
    return lambda: torch.fft.irfft(torch.fft.rfft(u, n=8192) * torch.fft.rfft(k, n=8192), n=8192)[..., :4096]


case("fft conv 8x64x4096 (rfft 8192)", make_fft)
for n in (1 << 18, 1 << 23):
    def make(n=n):
        ps = [nn.Parameter(r(n // 8)) for _ in range(8)]
        for p in ps:
            p.grad = r(n // 8)
        return torch.optim.AdamW(ps, lr=1e-3, foreach=True).step
    case(f"adamw step {n >> 10}Ki params", make)


def make_add():
    a, b = r(1), r(1)
    return lambda: a + b


def make_chain():
    x, e = leaf(1), r(1)
    return lambda: torch.autograd.grad(x * e * e * e * e * e * e * e * e * e * e, x)


case("overhead: add 1 element", make_add)
case("overhead: 10 muls + backward, 1 element", make_chain, True)


class Block(nn.Module):
    def __init__(s, d, h):
        super().__init__()
        s.h = h
        s.l1, s.l2, s.qkv, s.o, s.f1, s.f2 = nn.LayerNorm(d), nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(s, x, m):
        b, t, c = x.shape
        q, k, v = s.qkv(s.l1(x)).view(b, t, 3, s.h, c // s.h).permute(2, 0, 3, 1, 4)
        a = torch.softmax(q @ k.transpose(-2, -1) * (c // s.h) ** -0.5 + m, -1) @ v
        x = x + s.o(a.transpose(1, 2).reshape(b, t, c))
        return x + s.f2(F.gelu(s.f1(s.l2(x))))


class GPT(nn.Module):
    def __init__(s, v=96, d=128, h=4, layers=4, t=256):
        super().__init__()
        s.te, s.pe, s.b = nn.Embedding(v, d), nn.Embedding(t, d), nn.ModuleList(Block(d, h) for _ in range(layers))
        s.lf, s.hd = nn.LayerNorm(d), nn.Linear(d, v, bias=False)
        s.register_buffer("m", torch.full((t, t), float("-inf")).triu(1))

    def forward(s, i):
        t = i.shape[1]
        x = s.te(i) + s.pe(torch.arange(t))
        for b in s.b:
            x = b(x, s.m[:t, :t])
        return s.hd(s.lf(x))


class UNet(nn.Module):
    def __init__(s, c=32):
        super().__init__()
        cb = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU(), nn.Conv2d(o, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU())
        s.d1, s.d2, s.mid, s.u2, s.u1 = cb(1, c), cb(c, 2 * c), cb(2 * c, 4 * c), cb(4 * c, 2 * c), cb(2 * c, c)
        s.up2, s.up1, s.out = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), nn.ConvTranspose2d(2 * c, c, 2, 2), nn.Conv2d(c, 1, 1)

    def forward(s, x):
        a = s.d1(x)
        b = s.d2(F.avg_pool2d(a, 2))
        m = s.mid(F.avg_pool2d(b, 2))
        y = s.u2(torch.cat((s.up2(m), b), 1))
        return s.out(s.u1(torch.cat((s.up1(y), a), 1)))


def step(name, make_net, make_loss):
    def train():
        net = make_net()
        loss, opt = make_loss(net), torch.optim.AdamW(net.parameters(), lr=1e-3)

        def f():
            opt.zero_grad(set_to_none=True)
            loss().backward()
            opt.step()
        return f
    case(f"train step {name}", train, True)
    case(f"forward only {name}", lambda: make_loss(make_net()))


def class_loss(x, y, shape=None):
    return lambda net: (lambda: F.cross_entropy(net(x) if shape is None else net(x).view(shape), y))


step("MLP 784-512-512-10 b128", lambda: nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)),
     class_loss(torch.rand(128, 784), torch.randint(0, 10, (128,))))
step("GPT L4 d128 h4 T256 B8 V96", GPT, class_loss(torch.randint(0, 96, (8, 256)), torch.randint(0, 96, (2048,)), (-1, 96)))
step("LeNet-like conv net b64",
     lambda: nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                           nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
     class_loss(torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,))))


# ---- the cases of cases_cuda.cpp
if on_gpu:
    big = (1 << 26,)
    one("device copy 64Mi", big, torch.clone)

    def make_big_add():
        a, b = r(*big), r(*big)
        return lambda: a + b
    case("add 64Mi", make_big_add)

    def make_bias():
        a, b = r(65536, 1024), r(1024)
        return lambda: a + b
    case("add bias 65536x1024", make_bias)
    for name, f in (("exp", torch.exp), ("gelu erf", F.gelu), ("dropout", lambda x: F.dropout(x, 0.1)), ("randn", torch.randn_like)):
        one(f"{name} 64Mi", big, f)
    one("transpose copy 8192^2", (8192, 8192), lambda x: x.t().contiguous())
    for name, f in (("sum all", torch.sum), ("sum dim1", lambda x: x.sum(1)), ("sum dim0", lambda x: x.sum(0)),
                    ("cumsum dim1", lambda x: x.cumsum(1)), ("argmax dim1", lambda x: x.argmax(1))):
        one(f"{name} 8192^2", (8192, 8192), f)
    for rows, n in ((65536, 1024), (8192, 8192)):
        one(f"softmax {rows}x{n}", (rows, n), lambda x: torch.softmax(x, -1))

    def make_norm(backward):
        x, w, b, g = leaf(65536, 1024), leaf(1024), leaf(1024), r(65536, 1024)
        f = lambda: F.layer_norm(x, (1024,), w, b)
        return (lambda: torch.autograd.grad(f(), (x, w, b), g)) if backward else f
    case("layernorm fwd 65536x1024", lambda: make_norm(False))
    case("layernorm fwd+bwd 65536x1024", lambda: make_norm(True), True)

    def make_entropy():
        x, t = leaf(4096, 50257), torch.randint(0, 50257, (4096,))
        return lambda: torch.autograd.grad(F.cross_entropy(x, t), x)
    case("cross entropy fwd+bwd 4096x50257", make_entropy, True)

    def make_adamw():
        ps = [nn.Parameter(r(1 << 20)) for _ in range(64)]
        for p in ps:
            p.grad = r(1 << 20)
        return torch.optim.AdamW(ps, lr=1e-3, fused=True).step
    case("adamw step 64Mi params", make_adamw)

    def with_tf32(f):
        def g():
            torch.backends.cuda.matmul.allow_tf32 = True
            f()
            torch.backends.cuda.matmul.allow_tf32 = False
        return g
    for n in (1024, 4096, 8192):
        product(f"matmul {n}", (n, n), (n, n), False)
        case(f"matmul {n} tf32", lambda make=cases[f"matmul {n}"][0]: with_tf32(make()))

    def make_conv(backward):
        x, w, b, g = leaf(64, 64, 56, 56), leaf(64, 64, 3, 3), leaf(64), r(64, 64, 56, 56)
        f = lambda: F.conv2d(x, w, b, padding=1)
        return (lambda: torch.autograd.grad(f(), (x, w, b), g)) if backward else f
    case("conv2d 3x3 64x64x56x56->64 fwd", lambda: make_conv(False))
    case("conv2d 3x3 64x64x56x56->64 fwd+bwd", lambda: make_conv(True), True)
    for t, label in ((torch.float16, "f16"), (torch.bfloat16, "bf16")):
        for d in (64, 128):
            for tokens in (1024, 4096, 16384):
                for causal in (False, True):
                    def make(backward, t=t, d=d, tokens=tokens, causal=causal):
                        shape = (16384 // tokens, 2048 // d, tokens, d)
                        q, k, v = (r(*shape).to(t).requires_grad_() for _ in range(3))
                        g = r(*shape).to(t)
                        f = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)
                        return (lambda: torch.autograd.grad(f(), (q, k, v), g)) if backward else f
                    name = f"attention {label} {'causal' if causal else 'full'}"
                    case(f"{name} fwd T{tokens} D{d}", lambda make=make: make(False))
                    case(f"{name} fwd+bwd T{tokens} D{d}", lambda make=make: make(True), True)
    case("fft 4096x4096", lambda: (lambda x: (lambda: torch.fft.fft(x)))(r(4096, 4096, dtype=torch.complex64)))
    one("sort 1024x65536", (1024, 65536), lambda x: torch.sort(x, -1))

    def make_gpt():
        net = GPT(50257, 768, 12, 12, 1024)
        opt = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
        x, y = torch.randint(0, 50257, (4, 1024)), torch.randint(0, 50257, (4096,))

        def f():
            opt.zero_grad(set_to_none=True)
            F.cross_entropy(net(x).view(-1, 50257), y).backward()
            opt.step()
        return with_tf32(f)
    case("train step GPT L12 d768 T1024 B4 tf32", make_gpt, True)
    case("train step GPT L12 d768 T1024 B4 tf32, captured", make_gpt, True)  # eager on this side


# ---- the cases of cases_ssm.cpp; the scan is torch's best plain form, a loop over time with the states of one step
def scan(x, delta, A, B, C):
    decay, u = torch.exp(delta.unsqueeze(-1) * A), (delta * x).unsqueeze(-1) * B.unsqueeze(2)
    h, hs = torch.zeros_like(u[:, 0]), []
    for a, b in zip(decay.unbind(1), u.unbind(1)):
        h = torch.addcmul(b, a, h)
        hs.append(h)
    return (torch.stack(hs, 1) @ C.unsqueeze(-1)).squeeze(-1)


class Mamba(nn.Module):
    def __init__(s, d, n=16, width=4):
        super().__init__()
        s.e, s.rank, s.n = 2 * d, (d + 15) // 16, n
        s.i, s.o = nn.Linear(d, 2 * s.e, bias=False), nn.Linear(s.e, d, bias=False)
        s.conv = nn.Conv1d(s.e, s.e, width, groups=s.e, padding=width - 1)
        s.x, s.dt = nn.Linear(s.e, s.rank + 2 * n, bias=False), nn.Linear(s.rank, s.e)
        s.A, s.D = nn.Parameter(torch.arange(1., n + 1).log().repeat(s.e, 1)), nn.Parameter(torch.ones(s.e))

    def parts(s, u):
        dt, B, C = s.x(u).split((s.rank, s.n, s.n), -1)
        return F.softplus(s.dt(dt)), -torch.exp(s.A), B, C

    def forward(s, x):
        u, z = s.i(x).chunk(2, -1)
        u = F.silu(s.conv(u.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2))
        return s.o((scan(u, *s.parts(u)) + s.D * u) * F.silu(z))

    def step(s, x, tail, h):  # x [batch, d], tail [batch, e, width], h [batch, e, n]
        u, z = s.i(x).chunk(2, -1)
        tail = torch.cat((tail[..., 1:], u.unsqueeze(-1)), -1)
        u = F.silu((tail * s.conv.weight.squeeze(1)).sum(-1) + s.conv.bias)
        delta, A, B, C = s.parts(u)
        h = torch.exp(delta.unsqueeze(-1) * A) * h + (delta * u).unsqueeze(-1) * B.unsqueeze(1)
        return s.o(((h @ C.unsqueeze(-1)).squeeze(-1) + s.D * u) * F.silu(z)), tail, h


class RMS(nn.Module):
    def __init__(s, d):
        super().__init__()
        s.w = nn.Parameter(torch.ones(d))

    def forward(s, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * s.w


class MambaModel(nn.Module):
    def __init__(s, d=64, v=96):
        super().__init__()
        s.te, s.m, s.l = nn.Embedding(v, d), nn.ModuleList(Mamba(d) for _ in range(2)), nn.ModuleList(RMS(d) for _ in range(2))
        s.lf, s.hd = RMS(d), nn.Linear(d, v, bias=False)

    def forward(s, i):
        x = s.te(i)
        for m, n in zip(s.m, s.l):
            x = x + m(n(x))
        return s.hd(s.lf(x))

    def step(s, i, states):
        x, new = s.te(i), []
        for m, n, state in zip(s.m, s.l, states):
            y, *state = m.step(n(x), *state)
            x = x + y
            new.append(state)
        return s.hd(s.lf(x)), new


for backward in (False, True):
    def make(backward=backward, b=4, t=256, d=128, n=16):
        ins = (leaf(b, t, d), F.softplus(r(b, t, d) - 3).requires_grad_(), (-torch.exp(r(d, n))).requires_grad_(), leaf(b, t, n), leaf(b, t, n))
        g = r(b, t, d)
        return (lambda: torch.autograd.grad(scan(*ins), ins, g)) if backward else (lambda: scan(*ins))
    case(f"selective scan {'fwd+bwd' if backward else 'fwd'} B4 T256 D128 N16", make, backward)
step("Mamba L2 d64 T256 B8 V96", MambaModel, class_loss(torch.randint(0, 96, (8, 256)), torch.randint(0, 96, (2048,)), (-1, 96)))


def make_decoding():
    net, i = MambaModel(), torch.randint(0, 96, (1,))
    states = [(r(1, 128, 4), r(1, 128, 16)) for _ in range(2)]
    return lambda: net.step(i, states)


for past in (16, 1024, 8192):  # the state is as large after any number of tokens
    case(f"decode Mamba L2 d64 V96, one token after {past}", make_decoding)


class DecodingGPT(nn.Module):
    """A GPT that goes on token by token, as torch does it best: keys and values in memory made ahead, fused attention."""
    def __init__(self, v=96, d=128, h=4, layers=4, t=1024):
        super().__init__()
        self.net, self.h = GPT(v, d, h, layers, t), h
        self.k = torch.zeros(layers, 1, h, t, d // h)
        self.v = torch.zeros(layers, 1, h, t, d // h)

    def step(self, i, at):
        b, t = i.shape
        x = self.net.te(i) + self.net.pe(torch.arange(at, at + t))
        for n, block in enumerate(self.net.b):
            c = x.shape[2]
            q, k, v = block.qkv(block.l1(x)).view(b, t, 3, self.h, c // self.h).permute(2, 0, 3, 1, 4)
            self.k[n, :, :, at:at + t], self.v[n, :, :, at:at + t] = k, v
            a = F.scaled_dot_product_attention(q, self.k[n, :, :, :at + t], self.v[n, :, :, :at + t])
            x = x + block.o(a.transpose(1, 2).reshape(b, t, c))
            x = x + block.f2(F.gelu(block.f1(block.l2(x))))
        return self.net.hd(self.net.lf(x))


def make_gpt_decoding(past, nodes):
    net, i = DecodingGPT(), torch.randint(0, 96, (1, nodes))
    return lambda: net.step(i, past)


for past in (16, 128, 512):
    case(f"decode GPT L4 d128 V96, one token after {past}", lambda past=past: make_gpt_decoding(past, 1))
for nodes in (8, 16, 64):  # without the tree's mask, which would cost more
    case(f"decode GPT L4 d128 V96, {nodes} tokens after 128", lambda nodes=nodes: make_gpt_decoding(128, nodes))


def unet_loss(net):
    x = torch.rand(16, 1, 28, 28)
    return lambda: F.mse_loss(net(x), x)


step("U-Net c32 28x28 b16", UNet, unet_loss)


def causal_convolution(u, k):
    n = u.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n=2 * n) * torch.fft.rfft(k, n=2 * n), n=2 * n)[..., :n]


def make_convolution(backward):
    u, k, g = leaf(8, 64, 4096), leaf(64, 4096), r(8, 64, 4096)
    f = lambda: causal_convolution(u, k)
    return (lambda: torch.autograd.grad(f(), (u, k), g)) if backward else f


case("causal convolution fwd 8x64x4096", lambda: make_convolution(False))
case("causal convolution fwd+bwd 8x64x4096", lambda: make_convolution(True), True)


class S4D(nn.Module):
    """y = K * u + D u, K_t = 2 Re sum_n C_n B_n exp(t delta a_n): the layer of s4's models/s4/s4d.py, with a trained B."""
    def __init__(self, dim, state, low=1e-3, high=1e-1):
        super().__init__()
        pairs = state // 2
        self.log_step = nn.Parameter(torch.rand(dim) * (math.log(high) - math.log(low)) + math.log(low))
        self.log_decay = nn.Parameter(torch.full((dim, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs).float().repeat(dim, 1))
        self.B = nn.Parameter(torch.view_as_real(torch.ones(dim, pairs, dtype=torch.cfloat)))
        self.C = nn.Parameter(torch.view_as_real(torch.randn(dim, pairs, dtype=torch.cfloat)))
        self.D = nn.Parameter(torch.randn(dim))

    def forward(self, x):
        n = x.shape[1]
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        z = a * self.log_step.exp()[:, None]
        weight = torch.view_as_complex(self.C) * torch.view_as_complex(self.B) * (z.exp() - 1) / a
        powers = torch.exp(z[:, :, None] * torch.arange(n, device=x.device))
        kernel = 2 * torch.einsum("hn,hnl->hl", weight, powers).real
        u = x.transpose(1, 2)
        return causal_convolution(u, kernel).transpose(1, 2) + self.D * x


def make_s4d():
    layer = S4D(128, 64)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=0)
    x, target = r(16, 1024, 128), r(16, 1024, 128)

    def step():
        optimizer.zero_grad(set_to_none=True)
        (layer(x) - target).square().mean().backward()
        optimizer.step()
    return step


case("train step S4D H128 N64 B16 L1024", make_s4d, True)


# ---- the cases of cases_diffusion.cpp
def waves(t, features, scale):
    f = torch.exp(torch.arange(features // 2) * (-math.log(10000.0) / (features // 2))) * scale
    return torch.cat((torch.cos(t[:, None] * f), torch.sin(t[:, None] * f)), 1)


def preconditioned(f, x, sigma, sd=0.5):  # EDM's D
    s = sigma.view(-1, *[1] * (x.dim() - 1))
    both = (s * s + sd * sd).sqrt()
    return sd * sd / both ** 2 * x + s * sd / both * f((x / both).float(), (sigma.log() / 4).float())


def make_points():
    net = nn.Sequential(nn.Linear(66, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    average, ps, points = [p.detach().clone() for p in net.parameters()], list(net.parameters()), r(4096, 2)
    f = lambda x, noise: net(torch.cat((x, waves(noise, 64, 16)), 1))

    def g():
        x0, sigma = points[torch.randint(0, 4096, (256,))], torch.exp(r(256) * 1.2 - 1.2)
        opt.zero_grad(set_to_none=True)
        weight = 1 / sigma ** 2 + 4
        error = (preconditioned(f, x0 + sigma[:, None] * torch.randn_like(x0), sigma) - x0).square().mean(1)
        (weight * error).mean().backward()
        opt.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, ps, 0.001)
    return g


case("train step points 66-128-128-128-2 b256", make_points, True)


class DigitBlock(nn.Module):
    def __init__(s, i, o, cond=128):
        super().__init__()
        s.n1, s.n2, s.c1, s.c2 = nn.GroupNorm(8, i), nn.GroupNorm(8, o), nn.Conv2d(i, o, 3, padding=1), nn.Conv2d(o, o, 3, padding=1)
        s.e, s.skip = nn.Linear(cond, o), nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(s, x, c):
        h = s.c1(F.silu(s.n1(x))) + s.e(c)[:, :, None, None]
        return s.c2(F.silu(s.n2(h))) + s.skip(x)


class DigitAttention(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.n, s.qkv, s.o = nn.GroupNorm(8, c), nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(s, x):
        b, c, h, w = x.shape
        q, k, v = s.qkv(s.n(x).flatten(2).transpose(1, 2)).chunk(3, -1)
        y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + s.o(y).transpose(1, 2).reshape(b, c, h, w)


class DigitNet(nn.Module):
    def __init__(s, c=32):
        super().__init__()
        s.e1, s.e2, s.first = nn.Linear(32, 4 * c), nn.Linear(4 * c, 4 * c), nn.Conv2d(1, c, 3, padding=1)
        s.d1, s.down, s.d2, s.a2 = DigitBlock(c, c), nn.Conv2d(c, c, 3, 2, 1), DigitBlock(c, 2 * c), DigitAttention(2 * c)
        s.m1, s.ma, s.m2 = DigitBlock(2 * c, 2 * c), DigitAttention(2 * c), DigitBlock(2 * c, 2 * c)
        s.u21, s.u22, s.ua1, s.ua2 = DigitBlock(4 * c, 2 * c), DigitBlock(3 * c, 2 * c), DigitAttention(2 * c), DigitAttention(2 * c)
        s.up, s.u11, s.u12 = nn.Conv2d(2 * c, 2 * c, 3, padding=1), DigitBlock(3 * c, c), DigitBlock(2 * c, c)
        s.n, s.last = nn.GroupNorm(8, c), nn.Conv2d(c, 1, 3, padding=1)

    def forward(s, x, noise):
        c = F.silu(s.e2(F.silu(s.e1(waves(noise, 32, 16)))))
        k0 = s.first(x)
        k1 = s.d1(k0, c)
        k2 = s.down(k1)
        k3 = s.a2(s.d2(k2, c))
        y = s.m2(s.ma(s.m1(k3, c)), c)
        y = s.ua1(s.u21(torch.cat((y, k3), 1), c))
        y = s.ua2(s.u22(torch.cat((y, k2), 1), c))
        y = s.up(F.interpolate(y, scale_factor=2))
        y = s.u12(torch.cat((s.u11(torch.cat((y, k1), 1), c), k0), 1), c)
        return s.last(F.silu(s.n(y)))


def make_digits():
    net = DigitNet().eval()
    i = torch.arange(18, dtype=torch.float64) / 17
    grid = [float(g) for g in (80 ** (1 / 7) + i * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7] + [0.0]

    def slope(x, s):
        return (x - preconditioned(net, x, torch.full((64,), s, dtype=torch.float64))) / s

    def f():
        with torch.no_grad():
            x = torch.randn(64, 1, 8, 8, dtype=torch.float64) * 80
            for s, t in zip(grid, grid[1:]):
                d = slope(x, s)
                y = x + (t - s) * d
                x = y if t == 0 else x + (t - s) * (d + slope(y, t)) / 2
    return f


case("sample 64 digits, 18 Heun steps", make_digits)


def timed(f, seconds):
    f(), f()
    if on_gpu:
        return timed_gpu(f, seconds)
    times, start = [], time.perf_counter()
    while (time.perf_counter() - start < seconds or len(times) < 5) and len(times) < 20000:
        a = time.perf_counter()
        f()
        times.append(time.perf_counter() - a)
    times.sort()
    return times[len(times) // 50], times[len(times) // 2], len(times)


def timed_gpu(f, seconds):  # as bench::measure does with a wait
    wait = torch.cuda.synchronize
    wait()
    a = time.perf_counter()
    f(), wait()
    many = min(max(int(0.01 / (time.perf_counter() - a)), 1), 200)
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 5:
        a = time.perf_counter()
        for _ in range(many):
            f()
        wait()
        times.append((time.perf_counter() - a) / many)
    times.sort()
    return times[len(times) // 50], times[len(times) // 2], len(times) * many


current, body = None, None
for line in sys.stdin:
    name, _, seconds = line.rstrip("\n").partition("\t")
    if not seconds:
        print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    elif name == "memory":
        # peak resident memory of a few GPT steps over what was resident before the first, in KiB
        peak = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
        now = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
        f = cases["train step GPT L4 d128 h4 T256 B8 V96"][0]()
        before = now()
        open("/proc/self/clear_refs", "w").write("5")
        for _ in range(3):
            f()
        print(f"{peak() - before} 0 1", flush=True)
    elif name not in cases:
        print("0 0 0", flush=True)
    else:
        make, grad = cases[name]
        if current != name:
            body = None
            current, body = name, make()
        with torch.set_grad_enabled(grad):
            print("%.9g %.9g %d" % timed(body, float(seconds)), flush=True)
