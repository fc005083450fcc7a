"""Train a network with any loss and judge it by all metrics: python train.py loss=searched_miou"""

from autosegloss.cli.program import train

if __name__ == "__main__":
    train()
