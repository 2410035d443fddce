#!/bin/bash
# vkdit convert: round trips between namings are the same bit for bit; and what is refused.
. "${0%/*}/../cli.bash"
cd "$folder" || exit 1
oracle=$OLDPWD/../shared/oracle

if ! command -v python3 > /dev/null; then
  echo "skipped: no python3, which makes the files and compares them"
  exit 77
fi

# make NAMING FILE DTYPE: a small model of random bytes.  same A B: equal names, types, shapes and bytes.
cat > tool.py << 'PY'
import json, random, struct, sys

def write(path, tensors, meta=None):
    header, data = {}, b""
    if meta: header["__metadata__"] = meta
    for name, (dtype, shape, raw) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)

def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    at = 8 + n
    return {k: (v["dtype"], v["shape"], raw[at + v["data_offsets"][0]:at + v["data_offsets"][1]]) for k, v in header.items()}

def linear(t, name, out, inp):
    t[name + ".weight"], t[name + ".bias"] = [out, inp], [out]

def wan(d=24, layers=2, ffn=40):
    t = {"patch_embedding.weight": [d, 4, 1, 2, 2], "patch_embedding.bias": [d], "head.modulation": [1, 2, d]}
    for name, out, inp in (("text_embedding.0", d, 9), ("text_embedding.2", d, d), ("time_embedding.0", d, 16),
                           ("time_embedding.2", d, d), ("time_projection.1", 6 * d, d), ("head.head", 16, d)):
        linear(t, name, out, inp)
    for i in range(layers):
        b = "blocks.%d." % i
        t[b + "modulation"], t[b + "norm3.weight"], t[b + "norm3.bias"] = [1, 6, d], [d], [d]
        for a in "self_attn.", "cross_attn.":
            for p in "qkvo": linear(t, b + a + p, d, d)
            t[b + a + "norm_q.weight"], t[b + a + "norm_k.weight"] = [d], [d]
        linear(t, b + "ffn.0", ffn, d)
        linear(t, b + "ffn.2", d, ffn)
    return t

def meta(d=16, layers=3, classes=4):
    t = {"pos_embed": [1, 16, d], "x_embedder.proj.weight": [d, 4, 2, 2], "x_embedder.proj.bias": [d],
         "y_embedder.embedding_table.weight": [classes + 1, d]}
    for name, out, inp in (("t_embedder.mlp.0", d, 12), ("t_embedder.mlp.2", d, d),
                           ("final_layer.adaLN_modulation.1", 2 * d, d), ("final_layer.linear", 32, d)):
        linear(t, name, out, inp)
    for i in range(layers):
        b = "blocks.%d." % i
        for name, out, inp in (("adaLN_modulation.1", 6 * d, d), ("attn.qkv", 3 * d, d), ("attn.proj", d, d),
                               ("mlp.fc1", 4 * d, d), ("mlp.fc2", d, 4 * d)):
            linear(t, b + name, out, inp)
    return t

if sys.argv[1] == "make":
    naming, path, dtype = sys.argv[2:]
    width = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}[dtype]
    rng, tensors = random.Random(5), {}
    for name, shape in {"wan": wan, "meta": meta}[naming]().items():
        n = width
        for k in shape: n *= k
        tensors[name] = (dtype, shape, bytes(rng.getrandbits(8) for _ in range(n)))
    write(path, tensors)
elif sys.argv[1] == "same":
    a, b = read(sys.argv[2]), read(sys.argv[3])
    bad = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
    if bad or not a: sys.exit("%s and %s differ in %s" % (sys.argv[2], sys.argv[3], bad[:5]))
elif sys.argv[1] == "shard":  # FILE FOLDER COUNT: its tensors in so many files, and an index
    tensors, folder, count = read(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    parts = [{} for _ in range(count)]
    for i, (k, v) in enumerate(sorted(tensors.items())): parts[i % count][k] = v
    names = ["diffusion_pytorch_model-%05d-of-%05d.safetensors" % (i + 1, count) for i in range(count)]
    for name, part in zip(names, parts): write(folder + "/" + name, part)
    json.dump({"metadata": {}, "weight_map": {k: names[i % count] for i, k in enumerate(sorted(tensors))}},
              open(folder + "/diffusion_pytorch_model.safetensors.index.json", "w"))
PY
tool() { python3 tool.py "$@"; }

# trip FROM TO FILE: there and back
trip() {
  "$vkdit" convert "$3" -o there.safetensors --naming "$2" -q > out 2> err &&
    "$vkdit" convert there.safetensors -o back.safetensors --naming "$1" -q >> out 2>> err && tool same "$3" back.safetensors 2>> err
  note $? "$1 to $2 and back: $3: $(cat err)"
}

# Random bytes: every pattern of every type, NaN among them.
for type in F32 F16 BF16 F8_E4M3 F8_E5M2 F64; do
  tool make wan wan.safetensors $type
  tool make meta meta.safetensors $type
  trip wan diffusers wan.safetensors
  trip wan comfyui wan.safetensors
  trip meta diffusers meta.safetensors
done

# Shards, by their index and by their folder, are the file they were cut from.
tool make wan wan.safetensors BF16
mkdir -p model/transformer
tool shard wan.safetensors model/transformer 3
for in in model model/transformer model/transformer/diffusion_pytorch_model.safetensors.index.json; do
  "$vkdit" convert $in -o whole.safetensors --naming wan -q > out 2> err && tool same wan.safetensors whole.safetensors 2>> err
  note $? "convert $in: $(cat err)"
done

# The models of the reference cases.
if [ -d "$oracle" ]; then
  trip wan diffusers "$oracle/wan_hd24/weights.safetensors"
  trip wan comfyui "$oracle/wan_hd128/weights.safetensors"
  trip diffusers wan "$oracle/wan_hd64_diffusers/weights.safetensors"
  trip meta diffusers "$oracle/dit_hybrid/weights.safetensors"
else
  echo "no reference cases in ../shared/oracle: those are not looked at"
fi

# Types and the file's own text
"$vkdit" convert wan.safetensors -o there.safetensors --naming diffusers --heads 3 > out 2> err &&
  grep -q "there.safetensors: cross_dit, names of wan to diffusers" out
note $? "the line of a conversion: $(cat out err)"
"$vkdit" convert wan.safetensors -o f32.safetensors --naming wan --dtype f32 > out 2> err &&
  "$vkdit" convert f32.safetensors -o back.safetensors --naming wan --dtype bf16 > out 2> err
note $? "widening: $(cat err)"

refused 2 "option --naming wan|comfyui|diffusers|meta is missing" convert wan.safetensors -o x.safetensors
refused 2 "did you mean diffusers?" convert wan.safetensors -o x.safetensors --naming difusers
refused 2 "wanted keep, f32, f16 or bf16" convert wan.safetensors -o x.safetensors --naming wan --dtype int4
refused 2 "no names of meta" convert wan.safetensors -o x.safetensors --naming meta
refused 2 "cannot open it" convert none.safetensors -o x.safetensors --naming wan
refused 2 "is what is converted" convert wan.safetensors -o ./wan.safetensors --naming diffusers
refused 2 "--raw is of runs" convert wan.safetensors -o x.safetensors --naming wan --raw
refused 2 "both must be multiples of 8" convert wan.safetensors -o x.safetensors --naming wan --size 60x64
refused 2 "as 5 or 9" convert wan.safetensors -o x.safetensors --naming wan --size 64x64 --frames 6
refused 2 "not both" convert wan.safetensors -o x.safetensors --naming wan --size 64x64 --latent 1x8x8
refused 2 "wanted FRAMESxROWSxCOLUMNS" convert wan.safetensors -o x.safetensors --naming wan --latent 8x8
refused 2 "--frames goes with --size" convert wan.safetensors -o x.safetensors --naming wan --frames 5
refused 2 "No such file" convert wan.safetensors -o none/x.safetensors --naming wan
tool make meta meta.safetensors F32
"$vkdit" convert meta.safetensors -o there.safetensors --naming diffusers -q > out 2> err
echo '{"num_attention_heads": 2, "num_layers": 4}' > config.json
refused 2 'config.json: "num_layers" is 4, but the shapes of there.safetensors say 3' convert there.safetensors -o x.safetensors --naming meta
rm config.json
head -c 5000 wan.safetensors > cut.safetensors
refused 2 "cut.safetensors" convert cut.safetensors -o x.safetensors --naming wan
[ ! -e x.safetensors ] && ! compgen -G '*tmp*'
note $? "a refused conversion left a file"

finish
