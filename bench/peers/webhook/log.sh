#!/bin/sh
echo "$1" >>"$COUNT_DIR/webhook.ids"
