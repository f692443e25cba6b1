"""A page that classifies images with the bundle in this folder: `pip install gradio headtohead`, `python app.py`."""

from pathlib import Path

from headtohead.bundles.load import load_bundle
from headtohead.bundles.predict import predict


def main() -> None:
    """Serve the page on this machine."""
    import gradio

    bundle = load_bundle(Path(__file__).parent)

    def classify(file: str | None) -> tuple[dict[str, float], str]:
        if file is None:
            return {}, ""
        found = predict(bundle, [Path(file)])[0]
        return found.probabilities, found.error or ("unlike anything seen in training" if found.unlike else "")

    outputs = [gradio.Label(num_top_classes=5), gradio.Textbox(label="note")]
    gradio.Interface(classify, gradio.Image(type="filepath"), outputs).launch()


if __name__ == "__main__":
    main()
