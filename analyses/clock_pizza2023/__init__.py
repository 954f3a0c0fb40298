"""Zhong et al. 2023, The Clock and the Pizza: does attention decide which of two circuits adds two numbers?"""
