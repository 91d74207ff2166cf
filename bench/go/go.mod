module kcoro/bench

go 1.19
