"""Valid specs that between them use nearly every field, to be broken."""

from small_spec import TEXT

GROWING = """\
question: "Which rate | which average?"
model:
  type: StyleGAN1
  noise_size: 8
  out_scale: 16
  num_mlps: 2
  base_channels: 64
  max_channels: 8
  mbstd_group: null
  nkimgs_per_scale: {8: 0.2, 16: 0.6}
  transition_kimgs: 0.1
data: {type: image_folder, root: images, crop: center, broken: skip, max_images: 100}
train:
  kimg: 0.8
  batch_size: {8: 20, 16: 10}
  optimizer: {type: Adam, lr: 0.002, betas: [0.0, 0.99], eps: 1e-8}
  lr_per_scale: {16: 0.001}
  loss: {type: logistic, r1_gamma: 5, r1_interval: 4}
  log_every_kimg: 0.1
evaluate:
  every_kimg: 0.4
  first_kimg: 0.2
  extractor: {type: inception-v3-compat, weights: weights.pth}
  fake_images: 600
  metrics: [fid, kid, ppl_w, swd]
  kid_subsets: 3
  kid_subset_size: 50
  truncation: 0.7
  ppl_pairs: 20
  fresh: 2
  lpips: {weights: a.pth, vgg16_weights: b.pth}
seeds: [0, 9223372036854775807]
observers:
  ema:
    m0.1: {interp_cfg: {momentum: 0.1}, interval: 2, start_iter: 5}
    warm: {interp_mode: warmup, interp_cfg: {decay: 0.9, inv_gamma: 1, power: 0.7}}
    ramp: {interp_mode: ramp, interp_cfg: {half_life_kimg: 0.1, rampup: 0.05}}
    mean: {interp_mode: uniform, interp_cfg: {momentum_nontrainable: 1}}
  posthoc: {sigma_rel: [0.05, 0.1], every_kimg: 0.05, rebuild: [0.07, 0.2]}
factors:
  reduce_lr:
    off: null
    on: {val_metric: "fid[inception-v3-compat;truncation=0.7]/raw", scheduler: {patience: 0}}
  train.optimizer.lr: {low: 0.001, high: 0.01}
hooks:
  - type: VisualizationHook
    interval: 10
    n_samples: 4
    vis_kwargs_list: [{type: GAN, name: fake, n_row: 2}, {type: Noise, vis_mode: gif, fps: 3}]
    message_hub_vis_kwargs: [{key: x, target_mean: 0.5, target_std: [1, 1, 1]}, y]
  - {type: PickleDataHook, output_dir: kept, data_name_list: [fake], after_run: true}
tiers:
  gpu: {train: {kimg: 2}, hooks: []}
  other: other.yaml
"""
STYLED = """\
question: Does augmentation help?
model: {type: StyleGAN2, noise_size: 8, out_scale: 8, base_channels: 32, max_channels: 8}
data: {type: digits}
train:
  kimg: 0.4
  batch_size: 20
  loss: {path_weight: 2, path_interval: 4, path_batch_shrink: 2, path_decay: 0.01}
  augment: {type: ada, target: 0.6, adjust_kimg: 1, interval: 4, initial_p: 0.1, fixed: true}
evaluate: {every_kimg: 0.4, extractor: random-conv-64, fake_images: 20, metrics: [ppl_z]}
seeds: [3]
observers: {ema: {power: {interp_mode: power, interp_cfg: {sigma_rel: 0.1}}}}
factors: {train.augment.target: {a: 0.5, b: 0.7}}
"""
ONE_IMAGE = """\
question: Which scale?
model: {type: SinGAN, min_size: 18, max_size: 48, iters_per_scale: 10, base_channels: 8}
data: {type: image, root: "shipped:china"}
train: {optimizer: {lr: 0.0005}, loss: {recon_weight: 10}}
evaluate: {every_kimg: 0.1, extractor: random-conv-64, fake_images: 4, metrics: [sifid, diversity]}
seeds: [0]
observers: {ema: {late: {interp_cfg: {momentum: 0.01}}}}
"""
SPECS = (TEXT, GROWING, STYLED, ONE_IMAGE)
