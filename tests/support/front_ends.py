"""Front ends that the sources train with, and what else a setting can say, for the tests that hold them equal."""

from lib.sound.mel.config import FrontEnd

_PUBLIC = FrontEnd(n_mels=256, normalise="zscore")
FRONT_ENDS = {
    "plain": FrontEnd(),
    "public SED": _PUBLIC,
    "second place": FrontEnd(normalise="minmax"),
    "ninth place": FrontEnd(mel_scale="slaney", mel_norm="slaney", normalise="zscore minmax"),
    "PCEN sidecar": FrontEnd(level="pcen", fmin_hz=50.0, fmax_hz=15000.0),
    "PCEN, normalised": FrontEnd(level="pcen", normalise="zscore"),
    "PCEN of magnitudes, normalised": FrontEnd(level="pcen", magnitude_power=1.0, hop_samples=500, normalise="zscore"),
    "Perch": FrontEnd(n_fft=1024, taper_samples=640, hop_samples=320, fmin_hz=60.0, magnitude_power=1.0, level="log"),
    "long frames": FrontEnd(n_fft=4096, hop_samples=1252, fmin_hz=40.0, fmax_hz=15000.0, mel_norm="slaney"),
    "short frames": FrontEnd(n_fft=1024, hop_samples=320, n_mels=64, fmin_hz=50.0, fmax_hz=14000.0, top_db=60.0),
    "magnitudes in dB": FrontEnd(magnitude_power=1.0, mel_scale="slaney"),
    "steady bands gone": FrontEnd(hop_samples=1024, n_mels=64, fmin_hz=50.0, normalise="bands zscore"),
    "no level": FrontEnd(level="power", normalise="minmax"),
    "counted from the file": FrontEnd(scope="file", normalise="minmax", top_db=30.0),
    "edges of the file": FrontEnd(edges="file", hop_samples=500),
    "all of the file": FrontEnd(edges="file", scope="file", hop_samples=500, top_db=30.0, normalise="zscore"),
    "PCEN, edges of the file": FrontEnd(edges="file", level="pcen"),
}
