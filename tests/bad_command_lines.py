"""The table of bad command lines, program by program."""

BASE = {
    "train": (
        "--dataset=npz:{data}/pictures.npz",
        "--networks=small(4)",
        "--batch_size=8",
        "--steps=2",
        "--held_out=none",
        "--devices=1",
        "--workdir=run",
    ),
    "sample": ("--workdir={run}", "--out=new.png", "--n=4"),
    "sample --per_class": ("--workdir={run}", "--out=new/", "--per_class=2"),
    "augment": (
        *("--dataset=npz:{data}/pictures.npz", "--held_out=4", "--per_class_real=3"),
        *("--steps=1", "--classifier_steps=1", "--workdir=new", "--networks=small(4)"),
    ),
    "apply": ("--workdir={run}", "{data}/picture.png", "{data}/other.jpg", "new/"),
    "apply to one": ("--workdir={run}", "{data}/picture.png"),
    "score": ("--workdir={run}", "{data}/picture.png"),
    "invert": (
        *("--workdir={run}", "{data}/picture.png", "--out=new.png"),
        *("--resize", "--steps=1"),
    ),
    "export": ("--workdir={run}", "--format=npz", "--out=new"),
    "report": ("--workdir={run}", "--out=new.html"),
    "evaluate": ("--workdir={run}", "--metrics=fd(random)", "--n=4", "--split=10"),
    "evaluate --compare": (
        *("--compare", "npz:{data}/plain.npz", "npz:{data}/pictures.npz"),
        *("--metrics=fd(random)", "--n=4"),
    ),
    "plan": ("--topology=local", "--shape=8x8x1", "--networks=small(4)"),
    "view": ("--workdir={run}", "--port=0"),
    "plan --sweep": ("--sweep", "--shape=8x8x1", "--networks=small(4)"),
}
"""Flags that work; those of a row come after them, and win."""

BIG = str(2**64)
LONG = "x" * 5_000
INTEGERS = (
    "accumulate",
    "batch_per_device",
    "batch_size",
    "d_updates",
    "devices",
    "eval_every",
    "keep",
    "length",
    "log_every",
    "num_processes",
    "process_id",
    "profile",
    "rate",
    "rollbacks",
    "runs",
    "sample_every",
    "samples",
    "save_every",
    "score_samples",
    "seed",
    "steps",
    "steps_per_call",
    "vocabulary",
)
FLOATS = ("ema_ramp", "max_minutes", "meet_seconds", "seconds")
SCHEDULED = ("augment_p", "ema_half_life")
POSITIVE = {
    "accumulate",
    "batch_size",
    "d_updates",
    "keep",
    "log_every",
    "runs",
    "sample_every",
    "samples",
    "save_every",
    "score_samples",
    "steps",
}
"""Of the integers, those that are at least 1."""

Row = tuple[str, ...]
"""A word of the error, then flags."""


def numbers() -> list[Row]:
    """Every flag with a number, with what is no number for it."""
    rows = []
    for name in INTEGERS:
        texts = ["x", "1.5", "", "²", "1e3", "0x10", "nan"]
        low = "0" if name in POSITIVE else "-5"
        texts += [low, "-1"] if name != "process_id" else []
        rows += [(f"--{name}", f"--{name}={text}") for text in texts]
    for name in FLOATS:
        texts = ("x", "nan", "inf", "-inf", "-1", "", "²", "1e400", "1j")
        rows += [(f"--{name}", f"--{name}={text}") for text in texts]
    for name in SCHEDULED:
        texts = ("nan", "inf", "-1", "1e400", "linear(0, -1, 9)", "linear(0, 1, 0)")
        more = ("linear(0, 1)", "r1", "flip", "linear(1,", "1|2", "", "cosine")
        for text in (*texts, *more):
            rows.append((f"--{name}", "--augment=flip", f"--{name}={text}"))
    return rows


def texts() -> list[Row]:
    """Every flag that is a recipe, with what is none."""
    bad = {
        "loss": """
            hing hinge('x') hinge(1) hinge|hinge hinge|minimax r1 hinge( 1 None
            minimax(1) minimax(smooth=-0.1) minimax(smooth_fake=1.5) minimax(nan)
            least_squares(1e400) least_squares(b=1j) least_squares(True) lambda:1
        """,
        "task": """
            generat generate(0) generate(-4) generate(2.5) generate(1e400)
            generate(latents='x') generate(latents=1) conditional(0) codes(0)
            codes(categories=1) codes(categories=-1) codes(continuous=-1)
            codes(categories=0,continuous=0) generate(99999999999999999999)
            spectrogram(0) spectrogram(4,iterations=0)
            generate(dim=4,dim=5) generate|codes generate(64 vocoder(0) vocoder(33)
            vocoder(64,33) vocoder(hop=0) vocoder(mels=0) vocoder(floor=0)
            vocoder(low=-1)
        """,
        "networks": """
            smal small(0) small(-4) small(2.5) small('x') small(True) small(1e400)
            small(4)|small(4) small(width=4,depth=2) small(shape=(1,1,1))
            mlp((0,),(5,)) mlp((5,),(-5,)) mlp(5,5) mlp('ab','cd') mlp((5.5,),(5,))
            mlp(dropout=1) mlp(dropout=1.5) mlp(dropout=-0.1)
            mlp(g_activation='rellu') mlp(d_activation=2) dcgan(0) dcgan(dropout=1.5)
            dcgan(4,-1) residual(0) residual(-8) residual(20) residual(8,0)
            residual(8,101) residual(8,-2) residual(99999999999999999999)
            stylegan2(0) stylegan2(depth=0) stylegan2(mixing=2) stylegan2(group=-1)
            small(remat=True) wavegan(0) wavegan(4,-1) wavegan(4,101) specgan(0)
            hifigan(0) hifigan(kernels=(2,)) hifigan(scales=-1)
            hifigan(periods=(),scales=0) hifigan(strides=(0,))
        """,
        "d_terms": """
            r3 r1(-1) r1(1e400) r1(-1e400) r1(1e39) r1(1j) r1('x') r1(None) r1(True)
            r1(1,2,3) r1(gamma=1,gamma=2) r1(weight=1) r1(nan) r1(inf) r1(**{})
            r1(*(1,)) r1|r1(2) r1| |r1 r1||r2 r1(1)# r1(1 r1('a r1(²) r1(f'{1}')
            r1((x:=1)) r1.x r1(lambda:1) r1(a.b) r1[0] r1(1)(2) r1(flip) r1(r2)
            r1(cosine(1,2,0)) r1(cosine(1,2)) r1(linear(1,-1,9)) r1(linear(-1,1,9))
            r1(warmup(-1,9)) r1(linear(1,2,-3)) r1(linear(1,2,2.5))
            r1(linear('a',1,9)) r1(linear(1e400,1,9)) r1(linear(linear(1,2,3),1,9))
            r1(linear(1,2,9**9)) r2(-1) approximate_r1(sigma=0)
            approximate_r1(sigma=-1) approximate_r2(-1) gradient_penalty(-1)
            gradient_penalty(one_sided=2) dragan(-1) dragan(sigma=-1) lecam(-1)
            lecam(decay=1) lecam(decay=-0.1) lecam(decay=2) consistency(-1)
            consistency(fake=-1) consistency(by=1) consistency(by='x')
            consistency(by=r1) consistency(by=flip(1)) consistency(by=linear(0,1,9))
            orthogonal(-1) auxiliary_classifier(-1) every(0,r1) every(-3,r1)
            every(2.5,r1) every(2,3) every(2) every(r1,2) every(2,r3)
            every(99999999999999999999,r1) auto lecam(auto) r1(auto(2))
            approximate_r1(1,auto) every(auto,r1) gradient_penalty(auto)
        """,
        "g_terms": """
            feature_matching(-1) path_length(-1) path_length(decay=1) orthogonal('x')
            feature_matching(1e400) feature_matching(of='x') mel_l1(-1) stft(-1)
            mutual_information(-1) every(0,path_length)
        """,
        "augment": """
            blur translation(2) translation(-0.1) cutout(1.5) cutout(-1) noise(-1)
            noise(1e400) geometric(2) geometric(affine=-1) ada_color(hue=3) flip(1)
            rotate90('x') color(1) flip|flip flip| flip|r1 1 flip(
        """,
        "g_optimizer": """
            adamm adam adam(-1) adam(1e400) adam('x') adam(1e-3,b1=1)
            adam(1e-3,b1=-0.5) adam(1e-3,b2=2) adam(1e-3,eps=-1) adam(True)
            adam(linear(1,-1,9)) adam(1e-3,b2=linear(0.9,1,9)) adam(1,2,3,4,5,6)
            adam(1e-3)|adam(1e-3) adamw(1e-3,weight_decay=-1) rmsprop(-1)
            rmsprop(1e-3,decay=1) sgd(-1) sgd(1,momentum=1) sgd(1,momentum=-1)
            clip_weights(0.1) clip_weights(-1) sgd(1)|clip_weights(0)
            sgd(1)|clip_weights(-1) sgd(1)|clip_by_global_norm(0)
            sgd(1)|clip_by_global_norm(-1) lion(-1) lion(1,b1=1)
            lion(1,weight_decay=-1) rprop(linear(1,0,2)) radam(1,threshold=1)
            adafactor adafactor(1,momentum=2) adagrad(1,eps=-1) adan(1,b3=1)
            lars(1,trust_coefficient=0) rprop(1,eta_plus=0) yogi(1,b2=1) zero_nans
            centralize sgd(1)|clip(0) sgd(1)|clip('a') momentum(1)
        """,
        "d_optimizer": """
            adamm adam(-1) adam(1e-3,b1=2) sgd(1e400) sgd( 1 r1
        """,
        "discriminator_wrap": """
            packk pack(0) pack(-1) pack(2.5) spectral_norm(0) spectral_norm(-1)
            spectral_norm(101) minibatch_std(1) classifier(-1) projection(4)
            projection(classes=4) pack|pack pack(
        """,
        "generator_wrap": """
            embed(-1) embed(2.5) spectral_norm(0) embedd embed(
        """,
        "eval_metrics": """
            wasserstein sliced_wasserstein(1) mode_coverage mode_coverage(0)
            mode_coverage(modes=1) diversity(1) diversity(-1) diversity(2.5)
            diversity('x') diversity(99999) diversity(linear(1,2,3)) diversity(r1)
            diversity|diversity diversity| diversity(
            fd fd(4) fd('x') fd(clasifier) fd(random,1) fd(random,2.5) fd(fd(random))
            fd(random)|fd(random(8)) fd(random(0)) fd(inception) fd(classifier(-1))
            modes(channels) modes(random) modes(channels(-1))
            kid(random,size=1) precision_recall(random,3) memorization auto|fd(random)
        """,
        "augment_p": """
            ada(2) ada(-1) ada(1) ada(images=0) ada(images=-5) ada(relative=2)
        """,
    }
    rows = []
    for name, all_texts in bad.items():
        more = ("--augment=flip",) if name == "augment_p" else ()
        rows += [(f"--{name}", *more, f"--{name}={text}") for text in all_texts.split()]
    for text in (
        "r1|" * 3_000 + "r2",
        "r1|" * 1_300 + "r2",
        "r1(" + "-" * 20_000 + "1)",
        "r1(" + "-" * 3_900 + "1)",
        "(" * 3_000,
        "r1(" + "[" * 3_000,
        "every(2," * 30 + "r1" + ")" * 30,
        "x" * 5_000,
        "x" * 3_000,
        "r1(" + "x" * 3_000 + "=1)",
        "r1(" + "9" * 3_000 + ")",
        "r1(\x1b[31m)",
        "\x1b[31m",
        "r1(\udcff)",
        "r1(\n1",
    ):
        rows.append(("--d_terms", f"--d_terms={text}"))
    return rows


TRAIN: list[Row] = [
    *numbers(),
    *texts(),
    *(("--budget", f"--budget={x}") for x in ("x", "20", "0m", "nanh", "999d")),
    ("leave out one of them", "--budget=1m", "--preset=dcgan"),
    # Flags that there are not.
    ("no flag --stepz: did you mean --steps?", "--stepz=5"),
    ("no flag --xyzzy", "--xyzzy"),
    ("no flag", "--step=5"),
    ("no flag", "--st=5"),
    ("no flag", "--Steps=5"),
    ("no flag", "--steps5"),
    ("no flag", "---steps=5"),
    ("no flag", "--=5"),
    ("no flag", "-x"),
    ("no flag", "-steps=5"),
    ("no flag", "--batch-size=8"),
    ("no flag", "--checkpoint=best"),
    ("no flag", "--topology=v5e:4x4"),
    ("no flag", "pictures"),
    ("no flag", "steps=5"),
    ("no flag", "--steps=5", "6"),
    ("expected one argument", "--steps"),
    ("expected one argument", "--dataset"),
    ("expected one argument", "--workdir", "--dry_run"),
    ("--dry_run", "--dry_run=yes"),
    ("--remat", "--remat=1"),
    ("--shard_state", "--shard_state=no"),
    # Choices.
    ("--preset: no preset 'dcgen': did you mean 'dcgan'?", "--preset=dcgen"),
    ("--preset", "--preset="),
    ("--on_collapse", "--on_collapse=explode"),
    ("--on_collapse", "--on_collapse="),
    ("--g_latents", "--g_latents=other"),
    ("--score_weights", "--score_weights=mean"),
    ("--inception_weights has no effect", "--inception_weights=x.pth"),
    ("only local paths", "--inception_weights=gs://b/x.pth"),
    ("--precision", "--precision=float16"),
    ("--precision", "--precision=bfloat16"),
    ("--input", "--input=disk"),
    ("--parallel", "--parallel=vmap"),
    ("--crop", "--crop=round"),
    ("--crop", "--crop=0"),
    ("--crop", "--crop=-4"),
    ("--crop", "--crop=4x"),
    ("--crop", "--crop=9x9x9"),
    ("--image_size", "--image_size=0"),
    ("--image_size", "--image_size=-8"),
    ("--image_size", "--image_size=8x"),
    ("--image_size", "--image_size=8x8x3"),
    ("--image_size", "--image_size=big"),
    ("--image_size", "--image_size=8.5"),
    ("--held_out", "--held_out=16"),
    ("--held_out", "--held_out=99"),
    ("--split", "--split=test"),
    ("--split", "--split=train[:50%]"),
    ("--split", "--split="),
    # Data.
    ("there is no file", "--dataset=npz:nothing.npz"),
    ("names no path", "--dataset=npz:"),
    ("names no path", "--dataset=folder:"),
    ("there is no folder", "--dataset=folder:nothing"),
    ("not a folder", "--dataset=folder:{data}/pictures.npz"),
    ("no file", "--dataset=npz:{data}"),
    ("cannot be read", "--dataset=npz:{data}/text.npz"),
    ("holds no pictures", "--dataset=folder:{data}/empty"),
    *(("names no path", f"--dataset={x}:") for x in ("pairs", "domains")),
    *(("there is no folder", f"--dataset={x}:none") for x in ("pairs", "domains")),
    *(
        ("holds no pictures", f"--dataset={x}:{{data}}/empty")
        for x in ("pairs", "domains")
    ),
    *(
        ("write it like unpaired:photos,paintings", f"--dataset=unpaired:{x}")
        for x in ("", "a", "a,", ",b", ",", "a,b,c", r"a\,b")
    ),
    ("names no path", "--dataset=audio:"),
    ("there is no folder", "--dataset=audio:none"),
    ("holds no sounds", "--dataset=audio:{data}/empty"),
    ("not a folder", "--dataset=audio:{data}/pictures.npz"),
    ("holds sounds, not pictures", "--dataset=audio:a", "--image_size=8"),
    ("--label_field=x", "--dataset=audio:a", "--label_field=x"),
    ("did you mean audio:a", "--dataset=Audio:a", "--rate=8000"),
    ("--loudness", "--loudness=loud"),
    ("--seconds=601", "--seconds=601"),
    ("--rate=192001", "--rate=192001"),
    *(
        (f"{flag} is only for audio:PATH; use --{flag.split('=')[0][2:]}=", flag)
        for flag in ("--rate=8000", "--seconds=3", "--loudness=none")
    ),
    ("--rate=8000 is only for", "--dataset=asterisk", "--rate=8000"),
    ("--seconds=3 is only for", "--dataset=text:a", "--seconds=3"),
    ("needs waveforms", "--networks=wavegan(4)"),
    ("needs waveforms", "--task=spectrogram(4)", "--networks=specgan(4)"),
    ("there is no folder none", "--dataset=unpaired:none,{data}/empty"),
    ("holds no pictures", "--dataset=unpaired:{data}/empty,none"),
    ("inside it", "--dataset=unpaired:{data},{data}/empty"),
    ("not a folder", "--dataset=unpaired:{data}/pictures.npz,none"),
    ("swap the paths", "--dataset=unpaired:a,b", "--image_field=A"),
    ("--label_field=x", "--dataset=unpaired:a,b", "--label_field=x"),
    ("--label_field=x", "--dataset=pairs:a", "--label_field=x"),
    ("--label_field=x", "--dataset=domains:a", "--label_field=x"),
    ("the images A and B", "--dataset=pairs:a", "--image_field=C"),
    ("the images A and B", "--dataset=pairs:a", "--image_field=\x1b[31m"),
    ("did you mean pairs:a", "--dataset=pair:a"),
    ("did you mean unpaired:a,b", "--dataset=unpaird:a,b"),
    ("did you mean domains:a", "--dataset=Domain:a"),
    ("--image_size", "--dataset=ring8", "--networks=mlp((8,),(8,))", "--image_size=8"),
    ("--crop", "--dataset=ring8", "--networks=mlp((8,),(8,))", "--crop=none"),
    ("--split", "--dataset=ring8", "--networks=mlp((8,),(8,))", "--split=validation"),
    ("small", "--dataset=ring8", "--networks=small(4)"),
    ("dcgan", "--dataset=grid25", "--networks=dcgan(4)"),
    ("residual", "--dataset=grid25", "--networks=residual(8)"),
    ("--dataset", "--dataset=npz:{data}/plain.npz", "--task=conditional(4)"),
    ("--eval_metrics", "--eval_metrics="),
    ("mode_coverage needs data whose modes are known", "--eval_metrics=mode_coverage"),
    (
        *("classifier needs labels", "--dataset=npz:{data}/plain.npz"),
        "--eval_metrics=fd(classifier)",
    ),
    (
        *("memorization needs held-out examples", "--held_out=none"),
        "--eval_metrics=memorization(random)",
    ),
    ("use --eval_every=700", "--eval_every=1000", "--save_every=700"),
    ("use --eval_every=250", "--eval_every=300", "--save_every=1000"),
    ("labels", "--dataset=npz:{data}/plain.npz", "--generator_wrap=embed"),
    ("labels", "--dataset=npz:{data}/plain.npz", "--discriminator_wrap=projection"),
    # Workdirs.
    ("is a file", "--workdir={data}/pictures.npz"),
    ("is a file", "--workdir={data}/pictures.npz/run"),
    ("cannot be written", "--workdir=/proc/run"),
    ("cannot be written", "--workdir=/sys/run"),
    ("a different config", "--workdir={run}"),
    ("no config.json", "--workdir={data}/no_config"),
    # Weights of another run.
    ("--init_from=nothing is not the folder of a run", "--init_from=nothing"),
    ("--init_from", "--init_from={data}"),
    ("--init_from", "--init_from={data}/pictures.npz"),
    ("has no config.json", "--init_from={run}:first"),
    ("has no config.json", "--init_from={run}:-1"),
    ("has no config.json", f"--init_from={{run}}:{'9' * 30}"),
    ("there is no checkpoint 7 in", "--init_from={run}:7"),
    ("there is no checkpoint", "--init_from={data}/no_checkpoint"),
    ("config.json is damaged", "--init_from={data}/no_json:best"),
    ("config.json is damaged", "--init_from={data}/list"),
    ("use that run's --networks", "--init_from={run}", "--networks=mlp((8,),(8,))"),
    ("is the --workdir of this run", "--workdir={run}", "--init_from={run}:20"),
    ("--init_optimizer needs a run, as in --init_from", "--init_optimizer"),
    ("takes no value", "--init_from={run}", "--init_optimizer=1"),
    *(("--init_from", f"--init_from={x}") for x in ("gs://b", "a\0b", LONG)),
    *(("--init_from", f"--init_from={x}") for x in ("~nobody_here/x", "\x1b[31m")),
    # Batches, devices, runs and processes.
    ("--batch_size=17", "--batch_size=17"),
    ("does not divide over 3 devices", "--devices=3"),
    ("--devices=99", "--devices=99"),
    ("--accumulate=3", "--accumulate=3"),
    ("parts: use --batch_per_device=4", "--batch_per_device=3", "--accumulate=2"),
    ("--accumulate=16", "--accumulate=16"),
    ("--batch_size", "--accumulate=2", "--devices=8"),
    ("--batch_size=8 x 3 updates", "--d_updates=3"),
    ("--steps_per_call=3", "--steps_per_call=3"),
    ("--on_collapse=rollback", "--runs=2", "--on_collapse=rollback"),
    ("--runs=3", "--runs=3", "--devices=2"),
    ("with --parallel=mesh: leave out --runs", "--runs=2", "--shard_state"),
    ("leave out --parallel=pmap", "--parallel=pmap", "--shard_state"),
    ("approximate_r1", "--precision=mixed", "--d_terms=approximate_r1"),
    ("wrap it in classifier", "--d_terms=mutual_information", "--task=codes"),
    ("use the task conditional", "--d_terms=auxiliary_classifier"),
    ("use the task codes", "--d_terms=mutual_information"),
    ("pack(3) takes 3 examples", "--discriminator_wrap=pack(3)"),
    ("minibatch_std(3) takes 3", "--discriminator_wrap=minibatch_std(3)"),
    (
        "--discriminator_wrap: wrap the generator in embed, not the discriminator, or",
        "--discriminator_wrap=embed",
    ),
    *(
        (f"--generator_wrap: wrap the discriminator in {x}", f"--generator_wrap={x}")
        for x in ("pack", "minibatch_std", "projection", "classifier")
    ),
    ("--task: generate: latents is a text: write it", "--task=generate(9, uniform)"),
    ("inpainting(mask='center(16)')", "--task=inpainting(center(16))"),
    ("mlp(init='pytorch')", "--networks=mlp((8,), (8,), init=pytorch)"),
    ("pack takes no names, such as 'all'", "--discriminator_wrap=pack(all)"),
    ("takes no label", "--d_terms=auxiliary_classifier", "--task=conditional"),
    ("takes no label: use --generator_wrap=embed", "--task=conditional"),
    ("--num_processes", "--coordinator=localhost:1234"),
    ("--coordinator", "--coordinator=localhost"),
    ("--coordinator", "--coordinator=localhost:x", "--num_processes=2"),
    ("--process_id", "--coordinator=localhost:1234", "--num_processes=2"),
    (
        "--process_id",
        "--coordinator=localhost:1234",
        "--num_processes=2",
        "--process_id=2",
    ),
    *(("--workdir", f"--workdir={x}") for x in ("gs://b", "s3://b", "a\0b")),
    ("two slashes, as in gs://b/run", "--workdir=gs:/b/run"),
    *(("--workdir", f"--workdir={x}") for x in ("~nobody_here/x", LONG)),
    *(("--data_dir", f"--data_dir={x}") for x in ("gs://b", "~nobody_here/x")),
    *(
        ("gs://", f"--dataset={x}:gs://b/x")
        for x in ("npz", "folder", "pairs", "domains")
    ),
    ("unpaired:gs://b/x", "--dataset=unpaired:gs://b/x,y"),
    *(("~nobody_here", f"--dataset={x}:~nobody_here/x") for x in ("pairs", "domains")),
    ("~nobody_here", "--dataset=unpaired:x,~nobody_here/x"),
    ("~nobody_here", "--dataset=npz:~nobody_here/x.npz"),
    ("~nobody_here", "--dataset=folder:~nobody_here/x"),
    ("did you mean folder:", "--dataset={data}/empty"),
    ("did you mean npz:", "--dataset={data}/pictures.npz"),
    ("--g_optimizer", "--lr=1e-3"),
    ("--seed", f"--seed={BIG}"),
    ("--steps", f"--steps={BIG}"),
    ("--samples", f"--samples={BIG}"),
    ("--score_samples", f"--score_samples={BIG}"),
    ("--runs", f"--runs={BIG}"),
    ("--d_updates", f"--d_updates={BIG}"),
    ("--batch_size", f"--batch_size={BIG}"),
    ("no labels", "--dataset=npz:{data}/plain.npz", "--normal=0"),
    ("no class", "--normal=none"),
    ("names no class", "--normal=,"),
    ("--text", "--text=paragraphs"),
    ("--tokens", "--tokens=bytes"),
    ("--length", "--length=65536", "--dataset=text:{data}/lines.txt"),
    ("--vocabulary", "--vocabulary=2", "--dataset=text:{data}/lines.txt"),
    *(
        (f"{flag} is only for text:PATH", flag)
        for flag in ("--text=windows", "--tokens=words", "--length=9", "--vocabulary=9")
    ),
    ("there is no file or folder", "--dataset=text:nowhere.txt"),
    ("names no path", "--dataset=text:"),
    ("holds no .txt files but", "--dataset=text:{data}"),
    ("is no UTF-8 text", "--dataset=text:{data}/pictures.npz"),
    ("did you mean text:", "--dataset=txt:{data}/pictures.npz"),
    ("--task=text needs 'tokens'", "--task=text"),
    ("--networks", "--networks=text"),
    ("likelihood needs", "--g_terms=likelihood"),
    ("--task", "--task=text(-1)"),
    ("--held_out", "--held_out=²"),
    ("--held_out", "--held_out=-5"),
    ("--held_out", "--held_out="),
    ("--steps", f"--steps={'9' * 5000}"),
    ("--steps", f"--steps={LONG}"),
    ("--preset", f"--preset={LONG}"),
    ("--on_collapse", f"--on_collapse={LONG}"),
    ("--precision", f"--precision={LONG}"),
    ("--crop", f"--crop={LONG}"),
    ("--image_size", f"--image_size={LONG}"),
    ("--split", f"--split={LONG}"),
    ("--dataset", f"--dataset=npz:{LONG}"),
    ("no flag", f"--{LONG}=1"),
    ("--preset", "--preset=\x1b[31m"),
    ("--on_collapse", "--on_collapse=\x1b[31m"),
    ("--crop", "--crop=\x1b[31m"),
    ("--split", "--split=\x1b[31m"),
    ("npz:", "--dataset=npz:\x1b[31m.npz"),
    ("folder:", "--dataset=folder:a\nb"),
    ("no flag", "--\x1b[31m=1"),
    ("no flag", "\x1b[31m"),
    ("--process_id", "--process_id=-2"),
    ("--coordinator", "--num_processes=2"),
    ("--coordinator", "--process_id=0"),
    ("--coordinator", "--coordinator=localhost:99999", "--num_processes=2"),
    ("--coordinator", "--coordinator=localhost:-1", "--num_processes=2"),
    ("--coordinator", "--coordinator=localhost:²", "--num_processes=2"),
    ("--coordinator", f"--coordinator={LONG}:1", "--num_processes=2"),
    ("--coordinator", "--coordinator=\x1b[31m:1", "--num_processes=2"),
]

REJECT: list[Row] = [
    ("choose none, discriminator or classifier", "--reject=real"),
    ("this run is unconditional", "--reject=classifier"),
    ("has no effect with --reject=none", "--reject_share=0.5"),
    ("has no effect with --reject=none", "--max_proposals=9"),
    *(
        ("--reject_share", "--reject=discriminator", f"--reject_share={text}")
        for text in ("x", "0", "1", "-1", "nan", "")
    ),
    *(
        ("--max_proposals", "--reject=discriminator", f"--max_proposals={text}")
        for text in ("x", "0", "-1", "1.5", "", BIG)
    ),
]
"""Rows of both forms of `sample`."""

SAMPLE: list[Row] = [
    *REJECT,
    ("leave out --reject", "--interpolate", "--n=9", "--reject=discriminator"),
    ("are not sounds", "--out=new.wav"),
    *(("--truncation", f"--truncation={x}") for x in ("x", "", "-1", "nan", "99")),
    ("choose spherical or linear", "--interpolate=round"),
    ("--between=3,17", "--between=3"),
    ("--between", "--between="),
    ("--between_labels=3,7", "--between_labels=,"),
    *(("--directions", f"--directions={x}") for x in ("x", "0", "65", "1.5")),
    *(("--style_mixing", f"--style_mixing={x}") for x in ("x", "0", "65")),
    ("--style_mixing=1: the generator of this run has no styles", "--style_mixing=1"),
    *(("--frames", f"--frames={x}", "--out=new.gif") for x in ("x", "1", "99999")),
    ("is for walks", "--frames=9"),
    ("--n=999", "--n=999", "--out=new.webp"),
    ("--n", "--directions=2"),
    *(
        ("this run is unconditional", f"--{name}={text}")
        for name in ("labels", "attributes", "sheet")
        for text in ("0", LONG, "\x1b[31m")
    ),
    ("both ask for rows", "--labels=0", "--sheet=a"),
    ("both ask for rows", "--labels=0", "--interpolate"),
    ("both name classes", "--label=0", "--labels=0"),
    *(("--n", f"--n={text}") for text in ("x", "0", "-1", "1.5", "", "nan", "²")),
    *(("--run", f"--run={text}") for text in ("x", "-1", "1", "99", "1.5", "")),
    *(("--step", f"--step={text}") for text in ("x", "1.5", "", "²", "nan")),
    *(
        ("--seed", f"--seed={text}")
        for text in ("x", "", ",", "-1", "1.5", "1,,2", "5-2", "1-2-3", "nan", "²")
    ),
    ("no flag --seeds", "--seeds=1"),
    ("no flag", "--xyzzy"),
    ("no flag", "--steps=20"),
    ("no flag", "samples.png"),
    ("expected one argument", "--out"),
    ("--raw", "--raw=yes"),
    ("--interpolate", "--interpolate=1"),
    ("--format is for labeled sets", "--format=npz"),
    ("--overwrite replaces files and labeled sets", "--out=new/", "--overwrite"),
    ("plain.npz exists: use --overwrite", "--out={data}/plain.npz"),
    ("--temperature=-1: must be", "--temperature=-1"),
    *(("--temperature", f"--temperature={text}") for text in ("x", "", "nan", "101")),
    ("--temperature=0.5 is for runs that write texts", "--temperature=0.5"),
    ("--prompt='a' is for runs that write texts", "--prompt=a"),
    ("new.txt is for runs that write texts", "--out=new.txt"),
    ("generates no spectrograms; leave it out", "--vocoder={run}"),
    ("--vocoder is empty", "--vocoder="),
    ("does not work with reject", "--vocoder=a", "--reject=discriminator"),
    ("does not work with walks and sheets", "--vocoder=a", "--between=3,17"),
    ("--checkpoint", "--checkpoint=first"),
    ("--checkpoint", "--checkpoint="),
    ("--out", "--out=new.jpg"),
    ("--out", "--out=new"),
    ("--out", "--out="),
    ("--out", "--out=nowhere/new.png"),
    ("--out", "--out={data}/pictures.npz/new.png"),
    ("--workdir", "--workdir="),
    ("not the folder of a run", "--workdir=nothing"),
    ("not the folder of a run", "--workdir={data}"),
    ("not the folder of a run", "--workdir={data}/pictures.npz"),
    ("not the folder of a run", "--workdir={data}/empty"),
    ("there is no checkpoint", "--step=99"),
    ("there is no checkpoint", "--step=-1"),
    ("there is no checkpoint", f"--step={BIG}"),
    ("damaged", "--workdir={data}/no_json"),
    ("damaged", "--workdir={data}/list"),
    ("data.json", "--workdir={data}/no_data"),
    ("--label", "--label=1"),
    ("--seed", f"--seed={BIG}"),
    ("--seed", "--seed=0-1000000000000"),
    ("--n", f"--n={BIG}"),
    ("--out", "--out={data}/folder.png"),
    ("--out", "--out=/proc/x.png"),
    ("--out", f"--out={LONG}.png"),
    ("--out", "--out=gs://b/x.png"),
    ("--out", "--out=~nobody_here/x.png"),
    ("--workdir", "--workdir=gs://b"),
    ("--workdir", "--workdir=~nobody_here/x"),
    ("config.json", "--workdir={data}/null"),
    ("config.json", "--workdir={data}/wrong"),
    ("data.json", "--workdir={data}/no_keys"),
    ("no checkpoint", "--workdir={data}/no_checkpoint"),
]

LABELED: list[Row] = [
    *REJECT,
    *(
        (f"leave out --{name}", f"--{name}=0")
        for name in ("label", "labels", "attributes", "sheet")
    ),
    *(("--per_class", f"--per_class={text}") for text in ("x", "0", "-1", "", BIG)),
    ("this run is unconditional", "--per_class=3"),
    ("leave out --vocoder", "--vocoder=a"),
    ("leave out --n", "--n=4"),
    ("leave out --label", "--label=1"),
    ("leave out --interpolate", "--interpolate"),
    ("a labeled set has one seed", "--seed=0,1"),
    ("--format", "--format=png"),
    ("--out", "--out=new.png"),
    ("--out", "--out=new"),
    ("--out", "--out="),
    ("--format=tfds makes a folder", "--out=new.npz", "--format=tfds"),
    ("--out", "--out=nowhere/new.npz"),
    ("is not an empty folder", "--out={data}/"),
    ("has no export.json", "--out={data}/", "--overwrite"),
    ("exists: add --overwrite", "--out={data}/plain.npz"),
    ("--overwrite", "--overwrite=1"),
]

AUGMENT: list[Row] = [
    *(
        (f"--{name}", f"--{name}={text}")
        for name in ("per_class_real", "seeds", "classifier_steps", "generated")
        for text in ("x", "0", BIG)
    ),
    ("--per_class_real", "--per_class_real=1"),
    *(("--ratios", f"--ratios={text}") for text in ("", "0", "1", "0.5,", "nan", "²")),
    *(("--classic", f"--classic={text}") for text in ("", "turn", "shift|shift", LONG)),
    ("--reject", "--reject=judge"),
    ("--networks", "--networks=small(0)"),
    ("has a generator for --task=paired", "--networks=image_to_image(unet(4))"),
    ("--augment", "--augment=blur"),
    ("--augment_p", "--augment_p=ada(2)"),
    ("--import=nowhere", "--import=nowhere"),
    ("--out", "--out=new.csv"),
    ("--out", "--out=nowhere/new.json"),
    ("exists: add --overwrite", "--out={data}/no_json/data.json"),
    ("has no labels", "--dataset=npz:{data}/plain.npz"),
    ("--held_out=none leaves no test images", "--held_out=none"),
    ("there is no file", "--dataset=npz:nothing.npz"),
    ("is not an empty folder", "--workdir={data}"),
    ("no flag --runs", "--runs=3"),
    ("no flag --per_class: did you mean", "--per_class=3"),
    ("training image(s), and a comparison needs two or more", "--held_out=13"),
]

APPLY: list[Row] = [
    *(("--tile", f"--tile={text}") for text in ("x", "0", "-1", "1.5", "", "²", BIG)),
    *(("--overlap", f"--overlap={text}") for text in ("x", "-1", "1.5", "", "²", BIG)),
    *(("--seed", f"--seed={text}") for text in ("x", "-1", "1.5", "", "²", BIG)),
    *(
        ("--max_pixels", f"--max_pixels={text}")
        for text in ("x", "0", "-1", "1.5", "", "²", BIG)
    ),
    ("use --max_pixels=", "--max_pixels=1", "--on_bad_example=stop"),
    *(("--run", f"--run={text}") for text in ("x", "1.5", "")),
    *(
        ("--attributes", f"--attributes={text}")
        for text in ("x", "a=", "=1", "a=2", "a=-1", "a=nan", "a=1,b", "a=1;b=0")
    ),
    *(("--checkpoint", f"--checkpoint={text}") for text in ("", "first", "-1", "²")),
    ("--on_bad_example", "--on_bad_example=ask"),
    ("--raw", "--raw=yes"),
    ("--reverse", "--reverse=1"),
    ("--overwrite", "--overwrite=1"),
    ("maps no pictures; draw samples with", "--tile=64", "--overlap=auto"),
    ("IN=new/: there is no such file", "newer/"),
]

APPLY_ONE: list[Row] = [
    ("name the pictures and the output",),
    ("name the pictures and the output", ""),
    ("maps no pictures; draw samples with", "new.png"),
    ("maps no pictures; draw samples with", "new/er/"),
    ("no flag --out: name the output last", "--out=new.png"),
    ("no flag --tiles: did you mean --tile?", "--tiles=64", "new.png"),
    ("no flag -t", "-t=64", "new.png"),
    ("OUT=new.gif: must end in one of .png", "new.gif"),
    ("OUT=new.wav: must end in one of .png", "new.wav"),
    ("OUT=new.npz: must end in one of .png", "new.npz"),
    ("OUT", "nowhere/new.png"),
    ("OUT", "/proc/new.png"),
    ("OUT", "/proc/new/"),
    ("OUT", "{data}/picture.png/new.png"),
    ("OUT", "{data}/picture.png/new/"),
    ("OUT", "gs://b/x.png"),
    ("OUT", "~nobody_here/x.png"),
    ("OUT", f"{LONG}.png"),
    ("picture.png is an input", "--overwrite", "{data}/picture.png"),
    ("picture.png is an input", "{data}"),
    ("other.jpg exists: use --overwrite", "{data}/other.jpg"),
    ("IN=nothing.png: there is no such file", "nothing.png", "new/"),
    ("no picture matches", "{data}/*.tiff", "new/"),
    ("no picture matches", "{data}/*.npz", "new/"),
    ("the folder has no pictures", "{data}/empty", "new/"),
    ("IN=gs://b/x.png: only local paths", "gs://b/x.png", "new/"),
    ("need a folder, such as new/", "{data}/other.jpg", "new.png"),
    ("text.npz", "--on_bad_example=stop", "{data}/text.npz", "new/"),
    ("pipe.npz", "--on_bad_example=stop", "{data}/pipe.npz", "new/"),
    ("--mask", "--mask=nothing.png", "new.png"),
    ("--mask", "--mask={data}/empty", "new.png"),
    ("--mask", "--mask={data}/text.npz", "new.png"),
    ("--mask", "--mask={data}/other.jpg", "new.png"),
    ("--mask", "--mask=gs://b/x", "new.png"),
    ("not the folder of a run", "--workdir=nothing", "new.png"),
    ("not the folder of a run", "--workdir={data}/empty", "new.png"),
    ("config.json", "--workdir={data}/wrong", "new.png"),
    ("--workdir", "--workdir=gs://b", "new.png"),
    ("--run=1", "--run=1", "new.png"),
    ("--import=nowhere", "--import=nowhere", "new.png"),
]

EVALUATE: list[Row] = [
    *(
        (f"--{name}", f"--{name}={text}")
        for name in ("n", "n_real", "seed", "seeds", "run")
        for text in ("x", "-1", "1.5", "", "²", BIG)
    ),
    *(
        ("--metrics", f"--metrics={text}")
        for text in ("", "fd", "fd()", "fd(x)", "fd(random(0))", "fd(random", "random")
    ),
    ("--metrics", "--metrics=fd(inception('{data}/no.pth'))"),
    ("--metrics", "--metrics=kid(random, 0)"),
    ("bleu compares texts", "--metrics=bleu"),
    ("minilm needs text", "--metrics=fd(minilm)"),
    ("--checkpoint", "--checkpoint="),
    ("--checkpoint", "--checkpoint=-1"),
    ("there is no checkpoint 99", "--checkpoint=99"),
    ("--against", "--against={data}/text.npz"),
    ("stats:", "--against=stats:{data}/text.npz"),
    ("stats:", "--against=stats:{data}/pictures.npz"),
    ("stats:", "--against=stats:{data}/pipe.npz"),
    ("stats:", "--against=stats:{data}/empty"),
    ("stats:", "--against=stats:nowhere.npz"),
    ("--against", "--against=stats:gs://b/x"),
    ("--against", "--against=stats:"),
    ("--out", "--out=nowhere/x.json"),
    ("--out", "--out={data}/folder.png"),
    ("--out", "--out=gs://b/x.json"),
    ("--save_stats", "--save_stats=nowhere/x.npz"),
    ("--save_stats", "--save_stats=/proc/x.npz"),
    ("--crop", "--crop=none"),
    ("--data_dir", "--data_dir=x"),
    ("--no_cache", "--no_cache=1"),
    ("--import=nowhere", "--import=nowhere"),
    ("--coordinator", "--num_processes=2"),
    ("--coordinator", "--coordinator=here"),
    ("no flag --samples", "--samples=9"),
    ("not the folder of a run", "--workdir={data}"),
    ("no checkpoint", "--workdir={data}/no_checkpoint"),
    ("--compare", "--compare", "ring8", "ring8"),
    ("--false_alarms", "--false_alarms=2"),
    ("--weights", "--weights=pixels"),
    *(
        ("--autoencoder_steps", f"--autoencoder_steps={text}")
        for text in ("x", "-1", "1.5", "", BIG)
    ),
    ("--inception_weights has no effect", "--inception_weights=x.pth"),
    ("only local paths", "--inception_weights=gs://b/x.pth"),
    (
        "no.pth does not exist",
        "--metrics=fd(inception)",
        "--inception_weights={data}/no.pth",
    ),
    ("channels needs images whose channels", "--metrics=modes(channels)"),
    ("has no classes", "--metrics=modes(random)"),
]

SCORE: list[Row] = [
    ("finds no anomalies",),
    *(
        ("--false_alarms", f"--false_alarms={text}")
        for text in ("x", "0", "-1", "0.6", "nan", "inf", "", "1e-9", "²")
    ),
    *(
        ("--weights", f"--weights={text}")
        for text in (
            "pixels",
            "pixels=x",
            "pixels=-1",
            "pixels=nan",
            "pixels=inf",
            "=1",
        )
    ),
    ("--checkpoint", "--checkpoint=newest"),
    ("--run=7", "--run=7"),
    ("--run", "--run=x"),
    ("must end in .csv", "--out=scores.txt"),
    ("there is no folder", "--out=nowhere/scores.csv"),
    ("only local paths", "--out=gs://b/scores.csv"),
    ("only local paths", "--heatmaps=gs://b/maps"),
    ("--heatmaps", "--heatmaps="),
    ("--on_bad_example", "--on_bad_example=ask"),
    ("--import=nowhere", "--import=nowhere"),
    ("not the folder of a run", "--workdir={data}"),
    ("--resize takes no value", "--resize=28"),
    ("use --false_alarms=0.01", "--threshold=3"),
    ("use --out=scores.csv", "--output=scores.csv"),
    ("did you mean --heatmaps", "--heatmapss=maps"),
    ("name the pictures", ""),
]

INVERT: list[Row] = [
    *(("--steps", f"--steps={x}") for x in ("x", "0", "-1", "1.5", "")),
    *(("--restarts", f"--restarts={x}") for x in ("x", "0", "65")),
    *(("--learning_rate", f"--learning_rate={x}") for x in ("x", "0", "nan", "inf")),
    *(("--pixel_weight", f"--pixel_weight={x}") for x in ("x", "-1", "nan")),
    *(("--feature_weight", f"--feature_weight={x}") for x in ("x", "-1", "1e9")),
    ("leave nothing to compare", "--pixel_weight=0", "--feature_weight=0"),
    ("choose auto, z or w", "--space=y"),
    ("has no mapping", "--space=w"),
    ("this run is unconditional", "--label=1"),
    ("must end in .png", "--out=new.gif"),
    ("there is no folder", "--out=no/new.png"),
    ("choose last, best or a step", "--checkpoint=newest"),
    ("there is no checkpoint 99", "--checkpoint=99"),
    ("not the folder of a run", "--workdir={data}/empty"),
    ("there is no such file", "nothing.png"),
    ("use --steps=400", "--iterations=5"),
    ("no flag --xyzzy", "--xyzzy=1"),
]

EXPORT: list[Row] = [
    ("choose stablehlo, safetensors or npz", "--format=torch"),
    ("--format=", "--format="),
    ("scripts/to_onnx.py", "--format=onnx"),
    ("--with: no part 'discriminatr'", "--with=discriminatr"),
    ("--format=npz has no such part", "--with=training_state"),
    ("no such part", "--with=discriminator", "--format=stablehlo"),
    ("such as --license=apache-2.0", "--license=Apache License"),
    ("--license", "--license="),
    ("choose last, best or a step", "--checkpoint=newest"),
    ("there is no checkpoint 99", "--checkpoint=99"),
    ("there is no checkpoint in", "--workdir={data}/no_checkpoint"),
    ("not the folder of a run", "--workdir={data}/empty"),
    ("config.json", "--workdir={data}/wrong"),
    ("--run=1", "--run=1"),
    ("--run", "--run=x"),
    ("--out is empty", "--out="),
    ("is not an empty folder: use --overwrite", "--out={data}"),
    ("is the folder of a run", "--out={run}", "--overwrite"),
    ("is a file", "--out={data}/picture.png"),
    ("is a named pipe", "--out={data}/pipe.npz"),
    ("--out", "--out=/proc/new"),
    ("--out", "--out={data}/picture.png/new"),
    ("only local paths", "--out=gs://b/new"),
    ("--out", f"--out={LONG}"),
    ("--import=nowhere", "--import=nowhere"),
    ("--raw takes no value", "--raw=1"),
    ("use --out=FOLDER", "--outdir=new"),
    ("the batch is symbolic", "--batch=16"),
    ("did you mean --format?", "--formatt=npz"),
    ("upload the folder", "--push"),
    ("begin with --", "new"),
]

REPORT: list[Row] = [
    ("must end in .html", "--out=new.pdf"),
    ("there is no folder", "--out=nowhere/x.html"),
    ("cannot be written", "--out=/proc/x.html"),
    ("only local paths", "--out=gs://b/x.html"),
    ("is not a folder", "--workdir=nothing"),
    ("is not a folder", "--workdir={data}/picture.png"),
    ("it has no config.json", "--workdir={data}/empty"),
    ("no_json/config.json is damaged", "--workdir={data}/no_json"),
    ("is damaged", "--workdir={data}/list"),
    ("is damaged", "--workdir={data}/null"),
    ("is damaged", "--workdir={data}/wrong"),
    ("data.json is damaged", "--workdir={data}/no_keys"),
    ("name a folder in a bucket", "--workdir=gs://b"),
    ("--compare", "--compare"),
    ("--compare=nothing is not a folder", "--compare", "nothing"),
    ("--compare=", "--compare", "{data}/empty"),
    ("--compare of 10 run(s): name 2 to 8", "--compare", *["{run}"] * 9),
    ("--overwrite takes no value", "--overwrite=1"),
    ("use --workdir=RUN", "--logdir=runs"),
    ("use --compare RUN RUN", "--diff=runs"),
    ("did you mean --workdir?", "--workdirs=x"),
    ("begin with --", "x"),
]

COMPARE: list[Row] = [
    ("--compare", "--compare", "ring8"),
    ("--compare", "--compare", "ring8", "ring8", "ring8"),
    ("--compare", "--compare", "", "ring8"),
    ("random needs images", "--compare", "ring8", "grid25:test"),
    ("ring8 has the splits", "--compare", "ring8:x", "ring8"),
    ("no pictures", "--compare", "folder:{data}/empty", "npz:{data}/plain.npz"),
    ("text.npz", "--compare", "npz:{data}/plain.npz", "npz:{data}/text.npz"),
    ("only local paths", "--compare", "gs://b/x", "ring8"),
    ("stats:", "--compare", "stats:{data}/plain.npz", "npz:{data}/plain.npz"),
    ("--n=17", "--n=17"),
    ("--n_real=17", "--n_real=17"),
    ("--image_size", "--image_size=x"),
    ("--crop", "--crop=x"),
    ("--seed", "--seed=1"),
    ("--split", "--split=test"),
    ("--raw", "--raw"),
    ("memorization", "--metrics=memorization(random)"),
    ("classifier needs labels", "--metrics=fd(classifier)"),
]

PLAN: list[Row] = [
    *(
        ("--shape", f"--shape={text}")
        for text in ("8x8", "0x8x1", "8x8x1x1", "x", "-8", "8X8X1", "8.5", "²", "8x8x0")
    ),
    *(("--classes", f"--classes={text}") for text in ("x", "-1", "1.5", "")),
    *(("--examples", f"--examples={text}") for text in ("x", "0", "-1", "1.5", "")),
    *(("--slices", f"--slices={text}") for text in ("x", "0", "257", "1.5", "")),
    ("leave out --slices", "--slices=2"),
    *(
        ("--topology", f"--topology={text}")
        for text in ("v9:4x4", "v5e", "v5e:4", "v5e:4x", "v5e:axb", "x", "v5e:4x4x4x4")
    ),
    ("--topology", "--topology="),
    ("no flag --topologyy: did you mean --topology?", "--topologyy=v5e:4x4"),
    ("no flag", "--xyzzy"),
    ("--out", "--out=new.png"),
    ("--sweep", "--sweep=1"),
    ("--steps", "--steps=five"),
    ("--steps", "--steps=0"),
    ("--d_terms", "--d_terms=r1(-1)"),
    ("--networks", "--networks=small(0)"),
    ("--eval_metrics", "--eval_metrics=diversity(1)"),
    ("--g_optimizer", "--g_optimizer=adam(-1)"),
    ("--loss", "--loss=hing"),
    ("--preset", "--preset=dcgen"),
    ("use --on_collapse=warn", "--on_collapse=rollback", "--runs=2"),
    ("use --eval_every=5", "--eval_every=7", "--save_every=5"),
    ("--g_terms: l1 compares each sample", "--g_terms=l1(1)"),
    ("there is no file", "--shape=", "--dataset=npz:nothing.npz"),
    ("--json", "--json=/proc/x.json"),
    ("--json", "--json={data}"),
    ("--json", "--json=nowhere/x.json"),
    ("--json", "--json=gs://b/x.json"),
    ("--shape", "--shape=99999999x99999999x1"),
    ("--classes", f"--classes={BIG}"),
    ("--examples", f"--examples={BIG}"),
]

SWEEP: list[Row] = [
    *(
        ("--batch_sizes", f"--batch_sizes={text}")
        for text in ("x", "0", "-4", "4,", "4,,8", "1.5", "²", "")
    ),
    ("--topology", "--topologies=v9:4x4"),
    ("--topology", "--topologies=,"),
    ("--out", "--out=new.jpg"),
    ("--out", "--out=nowhere/x.png"),
]

VIEW: list[Row] = [
    *(("--workdir", f"--workdir={x}") for x in ("", "nowhere", "gs://b")),
    ("--workdir", "--workdir={data}/plain.npz"),
    *(("--port", f"--port={x}") for x in ("-1", "65536", "x", "1.5", BIG, "")),
    *(("--host", f"--host={x}") for x in ("", "a b", "http://x", "ü")),
    ("--token", "--host=0.0.0.0"),
    ("--token", "--host=203.0.113.9"),
    ("--token", "--host=0.0.0.0", "--token=short"),
    ("--token", "--token=with spaces in it, sixteen"),
    # An address that is no machine's here.
    ("--host", "--host=203.0.113.9", "--token=0123456789abcdef"),
    *(("--origin", f"--origin={x}") for x in ("", "host", "host:x", "*:80", ":80")),
    ("--workdir", "--logdir=x"),
    ("--token", "--password=x"),
    ("--open", "--inbrowser"),
    ("--lab", "--laab"),
]

ROWS = [
    (program, row)
    for program, rows in (
        ("train", TRAIN),
        ("sample", SAMPLE),
        ("sample --per_class", LABELED),
        ("augment", AUGMENT),
        ("apply", APPLY),
        ("apply to one", APPLY_ONE),
        ("score", SCORE),
        ("invert", INVERT),
        ("export", EXPORT),
        ("report", REPORT),
        ("evaluate", EVALUATE),
        ("evaluate --compare", COMPARE),
        ("view", VIEW),
        ("plan", PLAN),
        ("plan --sweep", SWEEP),
    )
    for row in rows
]
