"""Networks: SSFormer (one encoder plus one decoder, chosen by name) and MS-Former."""
