"""The only wheels that a kernel may install: file name -> SHA-256. The list travels inside each kernel that needs one.

`make push-wheels` downloads these very files. To pin another one, replace its line and build the kernels again.
"""
# ruff: noqa: E501

PINNED_WHEELS = {
    "onnx_ir-1.1.0-py3-none-any.whl": "76cc313a788c073b75271c1b6abb172aaf90fcc6335ed40f9f3238b2064a2fa3",
    "onnxscript-0.7.2-py3-none-any.whl": "d0e7121c6a1eefd608058928e111cbdb76709f70d269ff0d07aee493bd1d13c9",
    "onnxruntime-1.24.4-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl": "0d640eb9f3782689b55cfa715094474cd5662f2f137be6a6f847a594b6e9705c",
    "onnxruntime-1.24.4-cp313-cp313-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl": "e30c972bc02e072911aabb6891453ec73795386c0af2b761b65444b8a4c4745f",
    "openvino-2026.4.1-22982-cp312-cp312-manylinux_2_28_x86_64.whl": "6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b",
    "openvino-2026.4.1-22982-cp313-cp313-manylinux_2_28_x86_64.whl": "a9b637846c579d7b81b17b6585e0c7b1947574e8d13cf83d7307ce50cd2c352e",
    "ai_edge_litert-2.3.0-cp312-cp312-manylinux_2_27_x86_64.whl": "dc9f56c23e0dcf182b6c35f23fbb102ed048296588882b806d5eff7654c04c88",
    "ai_edge_litert-2.3.0-cp313-cp313-manylinux_2_27_x86_64.whl": "985ac3823fe1d5d6a04cf5f613cc2adf98a9c8a456af0b5efa8d9ac6b118ea14",
}
