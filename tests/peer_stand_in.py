"""Stands for the peer where MMagic is not installed: the same protocol, the harness's networks.

It takes what the real script takes; ``STAND_IN_FAULT`` makes it wrong in one of several ways.
"""

import json
import os
import sys

import torch

from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator


def main():
    fault = os.environ.get("STAND_IN_FAULT", "")
    settings = json.loads(sys.argv[-1])
    channels = {name: settings[name] for name in ("base_channels", "max_channels")}
    if fault == "no start":
        sys.exit("no module named mmagic")
    print(json.dumps({"versions": {}}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "train" in asked:
            if fault == "ends":
                sys.exit("out of memory")
            print(json.dumps({"seconds": 0.5 * asked["train"]}), flush=True)
            continue
        given = torch.load(asked["outputs"])
        generator = PGGANGenerator(settings["noise_size"], settings["scale"], **channels)
        critic = PGGANDiscriminator(settings["scale"], **channels)
        generator.load_state_dict(given["generator"])
        critic.load_state_dict(given["discriminator"])
        with torch.no_grad():
            if fault in {"generator", "discriminator"}:
                network = generator if fault == "generator" else critic
                for parameter in network.parameters():
                    parameter.mul_(1.02)
            made = {
                "generator": generator(given["noise"]),
                "discriminator": critic(given["images"]),
            }
        torch.save(made, asked["outputs"])
        print("{}", flush=True)


if __name__ == "__main__":
    main()
