"""Flags of other GAN programs, and the equivalent flags here."""

OPTIMIZERS = (
    "set learning rates in --g_optimizer and --d_optimizer, such as "
    "--g_optimizer='adam(2e-4, b1=0.5)' --d_optimizer='adam(2e-4, b1=0.5)'"
)
RESUME = "repeat the same command with the same --workdir to resume"
STEPS = "use --steps=12000; an epoch has examples / batch_size steps"
DEVICES = (
    "use --devices=1 for the number; JAX_PLATFORMS=cpu, cuda or tpu selects the kind"
)
DATA = "use --dataset=folder:PATH, --dataset=npz:PATH or a TFDS data set"

# Each key lists the names that share one advice.
_TRAINING = {
    "lr lrate learning_rate lr_g lr_d g_lr d_lr lrg lrd glr dlr generator_lr "
    "discriminator_lr b1 b2 beta1 beta2 adam_beta1 adam_beta2 weight_decay momentum "
    "optimizer optim opt lr_scheduler lr_decay": OPTIMIZERS,
    "epoch epochs n_epoch n_epochs nepochs num_epochs max_epochs niter": STEPS,
    "iterations iters n_iter n_iters num_iters max_iter max_iters num_steps max_steps "
    "train_steps total_steps": "use --steps=12000",
    "kimg total_kimg": "use --steps=12000; a step sees batch_size images",
    "batch batches batchsize bs b train_batch_size": "use --batch_size=64",
    "batch_gpu": "use --batch_per_device=64",
    "gpu gpus gpu_id gpu_ids ngpu n_gpu num_gpus device cuda no_cuda cpu tpu "
    "accelerator": DEVICES,
    "nz z_dim zdim latent latent_dim latent_size latent_dims noise_dim": (
        "set it in --task, such as --task='generate(100)'"
    ),
    "ngf ndf nf width hidden_dim hidden_size arch model architecture network net "
    "backbone gan_type netg netd": (
        "use --networks='small(64)' or a --preset, such as --preset=dcgan"
    ),
    "data dataroot data_root data_path datapath dataset_path dataset_dir train_dir "
    "input_dir images": DATA,
    "out outdir out_dir outf output output_dir logdir log_dir save_dir savedir "
    "save_path model_dir checkpoint_dir ckpt_dir exp_dir run_dir experiment exp_name": (
        "use --workdir=runs/1, which holds checkpoints, pictures and logs"
    ),
    "resume load load_model checkpoint ckpt restore continue": RESUME,
    "pretrained finetune fine_tune transfer init_weights load_weights weights": (
        "use --init_from=runs/1, the --workdir of another run"
    ),
    "worker workers num_workers n_workers n_cpu nthreads threads": (
        "data are prefetched automatically; --input=device, host or auto selects "
        "where they are kept"
    ),
    "img_size imsize imgsize imagesize resolution res size": "use --image_size=64",
    "nc channels img_channels n_channels": "the data set determines the channels",
    "cond conditional class_cond num_classes n_classes": (
        "use --preset=projection, or --task='conditional(64)'; the data set "
        "determines the classes"
    ),
    "gamma r1 r1_gamma gp gp_weight lambda_gp lambda grad_penalty": (
        "set it in --d_terms, such as --d_terms='r1(auto)|r2(auto)'"
    ),
    "n_critic ncritic critic_iters d_iters d_steps disc_iters n_dis": (
        "use --d_updates=5"
    ),
    "clip clip_value weight_clip": (
        "use --d_optimizer='rmsprop(5e-5)|clip_weights(0.01)'"
    ),
    "ema ema_decay ema_beta ema_kimg moving_average": (
        "use --ema_half_life=32000, in images; 0 for none"
    ),
    "fp16 bf16 amp half mixed_precision": "use --precision=mixed",
    "random_seed manual_seed manualseed rng": "use --seed=0",
    "sample_interval sample_freq image_freq": "use --sample_every=500",
    "log_interval log_freq print_freq": "use --log_every=100",
    "save_interval save_freq snap snapshot checkpoint_every save_epoch": (
        "use --save_every=1000"
    ),
    "aug augs augmentation diffaugment ada mirror hflip": (
        "use --augment='color|translation|cutout', or --augment=flip"
    ),
    "wandb tensorboard": "TensorBoard events are written to --workdir",
    "local_rank rank world_size nproc nproc_per_node nodes": (
        "use --coordinator=HOST:PORT, --num_processes and --process_id"
    ),
    "config cfg config_file": "use a --preset, such as --preset=dcgan, and flags",
}
_SAMPLING = {
    "num num_samples n_samples nsamples num_images samples count batch_size": (
        "use --n=64"
    ),
    "outdir out_dir output output_dir outfile save_dir o": (
        "use --out=samples.png, samples.npz, or samples/ for single files"
    ),
    "seeds random_seed manual_seed": "use --seed=0, or --seed=0,2,5-8",
    "class classes class_idx cls labels y": "use --label=NAME",
    "ckpt model network model_path checkpoint_path load run_dir logdir resume": (
        "use --workdir=RUN, with --checkpoint=last, best or --step=1000"
    ),
    "ema use_ema no_ema": (
        "samples use the moving average; use --raw for the newest parameters"
    ),
}
_APPLYING = {
    "input in in_dir input_dir input_path source src img image images dataroot i": (
        "name the pictures without a flag: python -m jaxgan.apply --workdir=RUN IN OUT"
    ),
    "out outdir out_dir output output_dir output_path results_dir save_dir o": (
        "name the output last, without a flag: python -m jaxgan.apply --workdir=RUN "
        "IN OUT"
    ),
    "n suffix ext outscale scale s": "the network determines the size of the output",
    "t tile_size tile_pad patch_size": "use --tile=256 and --overlap=32",
    "class domain target_domain selected_attrs attrs": (
        "use --label=NAME, or --attributes=NAME=1,OTHER=0"
    ),
    "direction which_direction": "use --reverse for the other direction",
    "ckpt model network model_path checkpoint_path load run_dir logdir resume step": (
        "use --workdir=RUN, with --checkpoint=last, best or 1000"
    ),
    "ema use_ema no_ema": (
        "the moving average is used; use --raw for the newest parameters"
    ),
}
_SCORING = {
    "input in in_dir input_dir input_path source src img image images dataroot i": (
        "name the pictures without a flag: python -m jaxgan.score --workdir=RUN PATH"
    ),
    "output outfile csv o results": "use --out=scores.csv",
    "heatmap heat_maps maps outdir out_dir output_dir save_dir visualize": (
        "use --heatmaps=FOLDER"
    ),
    "threshold thresh fpr false_positive_rate contamination": (
        "the threshold is set on held-out normal examples: use --false_alarms=0.01"
    ),
    "image_size size imsize crop": "use --resize, which takes the size of training",
    "ckpt model network model_path checkpoint_path load run_dir logdir resume step": (
        "use --workdir=RUN, with --checkpoint=last, best or 1000"
    ),
    "ema use_ema no_ema": (
        "the moving average is used; use --raw for the newest parameters"
    ),
}
_INVERTING = {
    "input in in_dir input_dir input_path source src img image images target i": (
        "name the pictures without a flag: python -m jaxgan.invert --workdir=RUN PATH"
    ),
    "outdir out_dir output output_dir output_path save_dir o": "use --out=inverted.png",
    "num_steps n_steps iterations iters": "use --steps=400",
    "lr learning_rate_init initial_learning_rate": "use --learning_rate=0.1",
    "latent_space projection": "use --space=w or --space=z",
    "image_size size imsize crop": "use --resize, which takes the size of training",
    "class classes class_idx cls labels y": "use --label=NAME",
    "ckpt model network model_path checkpoint_path load run_dir logdir resume step": (
        "use --workdir=RUN, with --checkpoint=last, best or 1000"
    ),
    "ema use_ema no_ema": (
        "the moving average is used; use --raw for the newest parameters"
    ),
}
_EXPORTING = {
    "output outdir out_dir output_dir save_dir dir folder path dest": (
        "use --out=FOLDER"
    ),
    "type fmt to target": "use --format=stablehlo, safetensors or npz",
    "onnx": (
        "use --format=safetensors, and scripts/to_onnx.py in an environment of its own"
    ),
    "batch batch_size dynamic dynamic_batch opset half fp16 simplify": (
        "leave it out: the batch is symbolic, and arrays are float32"
    ),
    "ckpt model network model_path checkpoint_path load run_dir logdir resume step": (
        "use --workdir=RUN, with --checkpoint=last, best or 1000"
    ),
    "ema use_ema no_ema": (
        "the moving average is used; use --raw for the newest parameters"
    ),
    "push push_to_hub repo repo_id hub": (
        "use --format=safetensors --out=FOLDER, and upload the folder with the tools "
        "of the hub"
    ),
}
_REPORTING = {
    "output outfile html file o report": "use --out=report.html",
    "run run_dir logdir log_dir dir path experiment": "use --workdir=RUN",
    "diff against other others with runs": "use --compare RUN RUN",
    "open browser show": "leave it out, and open the file in a browser",
}
_VIEWING = {
    "logdir log_dir run_dir run runs root dir path load resume ckpt model network": (
        "use --workdir=RUN, or a folder of runs"
    ),
    "bind bind_all address ip server_name": (
        "use --host, with --token; or a tunnel (ssh -L)"
    ),
    "password auth secret key": "use --token=SECRET",
    "share public": "it is served to this machine only; use a tunnel (ssh -L)",
    "browser launch inbrowser show": "use --open",
    "allow_websocket_origin": "use --origin=HOST:PORT",
}


def _by_name(table: dict[str, str]) -> dict[str, str]:
    return {name: advice for names, advice in table.items() for name in names.split()}


TRAINING = _by_name(_TRAINING)
"""Advice by the name of a flag that the training program does not have."""
SAMPLING = _by_name(_SAMPLING)
"""Advice by the name of a flag that the sampling program does not have."""
APPLYING = _by_name(_APPLYING)
"""Advice by the name of a flag that the program for pictures does not have."""
SCORING = _by_name(_SCORING)
"""Advice by the name of a flag that the program for anomalies does not have."""
INVERTING = _by_name(_INVERTING)
"""Advice by the name of a flag that the inverting program does not have."""
EXPORTING = _by_name(_EXPORTING)
"""Advice by the name of a flag that the exporting program does not have."""
REPORTING = _by_name(_REPORTING)
"""Advice by the name of a flag that the reporting program does not have."""
VIEWING = _by_name(_VIEWING)
"""Advice by the name of a flag that the viewer does not have."""
