"""What rules, matchers and publishers of StreamAlert 3 import, over the host of today. Written anew; the names are
theirs."""
